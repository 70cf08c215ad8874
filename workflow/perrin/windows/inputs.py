"""What both stages read: accepted frames that have a pose, rotations, profile, and the windows a person set."""

from pathlib import Path

import numpy as np

from perrin.files.accepted import read_accepted
from perrin.files.errors import InputError
from perrin.files.poses import read_poses
from perrin.files.tables import read_table
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import matrices


def window_name(first, last):
    """How a window is called: by its frames, both ends included."""
    return f"f{first:06d}-{last:06d}"


def row_of(first, last, low, high, reason):
    """A row of windows.tsv."""
    return {
        "window": window_name(first, last),
        "first_frame": int(first),
        "last_frame": int(last),
        "first_low": int(low),
        "first_high": int(high),
        "reason": reason,
    }


def profile_of(facts):
    """Profile from {sigmas_A, weights, highpass_A1}."""
    return Profile(
        np.array(facts["sigmas_A"], float), np.array(facts["weights"], float), facts["highpass_A1"]
    )


def frames_with_poses(clean, frames, tracks, poses_paths, first=None, last=None):
    """Accepted frames that some window has a pose for.

    poses_paths : list of poses.csv
    returns Frames, rotation (f, 3, 3), shift_A (f, 2), amplitude (f,), source (f,) index of the poses' file
    """
    stack = read_accepted(clean, frames, tracks, first, last, least=2)
    poses = [read_poses(path) for path in poses_paths]
    source = np.concatenate([np.full(len(one), i) for i, one in enumerate(poses)])
    number = np.concatenate([one.frame for one in poses])
    quaternion = np.concatenate([one.quaternion for one in poses])
    shift = np.concatenate([one.shift_A for one in poses])
    amplitude = np.concatenate([one.amplitude for one in poses])
    number, once = np.unique(number, return_index=True)
    _, rows, at = np.intersect1d(stack.number, number, assume_unique=True, return_indices=True)
    once = once[at]
    if len(rows) < len(stack):
        stack = stack.take(rows)
    return stack, matrices(quaternion[once]), shift[once], amplitude[once], source[once]


def read_override(path, first, last):
    """Windows that a person set: list of (first_frame, last_frame), in time order, checked.

    path : tsv with the columns first_frame, last_frame, both ends included; first, last : of the trajectory
    """
    table = read_table(path)
    missing = [name for name in ("first_frame", "last_frame") if name not in table]
    if missing:
        raise InputError(
            f"{path}: the column {missing[0]} is missing; a file of windows has first_frame and last_frame, "
            "separated by a tab"
        )
    if not len(table):
        raise InputError(f"{path}: holds no windows; give one row for each, or remove the file")
    values = table[["first_frame", "last_frame"]].to_numpy()
    if values.dtype.kind not in "iu":
        raise InputError(f"{path}: first_frame and last_frame must be whole numbers in every row")
    windows = sorted((int(a), int(z)) for a, z in values)
    for a, z in windows:
        if z < a:
            raise InputError(
                f"{path}: window {a}-{z} ends before it begins; last_frame is the last frame in it"
            )
    if windows[0][0] != first or windows[-1][1] != last:
        raise InputError(
            f"{path}: windows cover frames {windows[0][0]}-{windows[-1][1]}, the trajectory has {first}-{last}; "
            "begin and end with these"
        )
    for (_, z), (a, _) in zip(windows[:-1], windows[1:]):
        if a != z + 1:
            what = "overlap" if a <= z else "leave a gap"
            raise InputError(
                f"{path}: windows {what} between frames {min(a, z)} and {max(a, z)}; each must begin one frame after "
                "the one before it ends"
            )
    return windows


def trajectory_frames(tracks):
    """(f,) all frames of a trajectory, in order."""
    if not Path(tracks).is_file():
        raise InputError(f"{tracks}: no such table; run track")
    return read_table(tracks)["frame"].to_numpy(int)
