"""Stretches of a path that went wrong: found by the jumps that bracket them, and tracked through anew.

The path of a tumbling particle is continuous; a stretch on a wrong branch has a jump of orientation at either end
and a lower likelihood. From the good frame before it the pose is carried forward frame by frame, from the
good frame after it backward, and the better path (or a splice of both) replaces the old one where the likelihood
rises.
"""

import logging

import numpy as np
from scipy.ndimage import label, median_filter

from perrin.imaging.blobs import Filtered
from perrin.imaging.pairs import model_norms
from perrin.imaging.rotations import angles_between, rotvec_matrices
from perrin.poses.polish import polish

log = logging.getLogger("perrin")

JUMP_FACTOR = 3.6  # rms steps that a walk does not make from frame to frame
LOW = 0.93  # of the likelihood expected around there: a wrong branch explains 0.6 to 0.9 of it
FOLLOWED = 3  # starts of a frame that are refined to the end
MOST_TURNS = 40  # of tracking: a border moves by 25 frames in each
HOPELESS = 0.75  # such a run of frames is suspect without any jump


def jumps(rotation, step_deg, gap=None):
    """Rows before which the path turned by more than a walk does; gap (f,) : frames since the one before, None: 1."""
    turned = np.degrees(angles_between(rotation[1:], rotation[:-1]))
    walk = 1.0 if gap is None else np.sqrt(gap[1:])
    return np.flatnonzero(turned > JUMP_FACTOR * step_deg * walk) + 1


def bad_stretches(rotation, step_deg, longest=100, margin=25):
    """(first, stop) of the stretches between two jumps at most `longest` frames apart, or cut off by an end.

    A wrong path often nears the right one without a jump, so `margin` frames on either side are suspects too.
    """
    at = jumps(rotation, step_deg)
    frames = len(rotation)
    found = []
    edges = np.r_[at, frames]
    longest = min(
        longest, np.diff(np.r_[0, edges]).max() - 1
    )  # in a short movie too some piece is the path itself
    start = 0
    for i, edge in enumerate(edges):
        # short pieces between jumps are suspects; a long piece is the path itself
        if edge - start <= longest:
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], int(edge))
            else:
                found.append((int(start), int(edge)))
        elif i < len(at):
            # a lone jump between two long pieces: look at the frames around it
            found.append((int(edge), int(edge)))
        start = edge
    return _merged(((a - margin, b + margin) for a, b in found), frames)


def _merged(stretches, frames):
    """Stretches within the movie, those that touch as one, but none that is the whole of it."""
    merged = []
    for first, stop in sorted((max(a, 0), min(b, frames)) for a, b in stretches):
        if merged and first <= merged[-1][1] + 2:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((first, stop))
    return [(a, b) for a, b in merged if a > 0 or b < frames]


def with_low_runs(stretches, ratio, shortest=5, margin=10, longest=300, alone=True):
    """Bad stretches extended by the runs of low likelihood that they touch, and runs that are hopeless by themselves.

    A path leaves its branch without a jump where two branches cross; what tells is that from there on it explains
    less. ratio (f,) : log-likelihood over that of a perfect fit; compared with its median over 300 frames around
    alone : whether hopeless runs count without a jump
    """
    frames = len(ratio)
    smooth = median_filter(ratio, 9, mode="nearest")
    smooth = smooth / np.maximum(median_filter(ratio, min(301, 2 * (frames // 2) + 1), mode="nearest"), 1e-9)
    runs, count = label(smooth < LOW)
    out = [list(stretch) for stretch in stretches]
    for number in range(1, count + 1):
        rows = np.flatnonzero(runs == number)
        if not shortest <= len(rows) <= longest:
            continue
        first, stop = int(rows[0]) - margin, int(rows[-1]) + 1 + margin
        if alone and np.median(smooth[rows]) < HOPELESS:
            out.append([first, stop])
        for stretch in out[: len(stretches)]:
            if rows[0] < stretch[1] and rows[-1] >= stretch[0]:
                stretch[:] = min(first, stretch[0]), max(stop, stretch[1])
    return _merged(out, frames)


def explained(xyz_A, occupancy, overlap, rotation, amplitude, gain):
    """Log-likelihood of each frame over that of a perfect fit at the usual amplitude, (f,)."""
    norm = model_norms(xyz_A, occupancy, rotation, overlap)
    return gain / np.maximum(np.median(amplitude) ** 2 * norm / 2, 1e-9)


def track_through(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, box_A, frames, step_deg, amplitude_mean
):
    """Carry a pose along `frames` (in order; the pose before the first one is given) by local search.

    rotation (3, 3), shift_A (2,), amplitude: of the frame before; box_A (f, 2) of all frames; frames: indices,
    ascending or descending, the first entry being the frame the given pose belongs to
    returns rotation (k, 3, 3), shift_A (k, 2), amplitude (k,), gain (k,) for frames[1:]
    """
    tilt = np.radians(1.3 * step_deg)
    turns = rotvec_matrices(np.r_[np.zeros((1, 3)), tilt * np.eye(3), -tilt * np.eye(3)])
    out = []
    for before, f in zip(frames[:-1], frames[1:]):
        start = turns @ rotation
        place = np.tile(shift_A + box_A[before] - box_A[f], (len(turns), 1))
        one = Filtered(filtered.coefficient[f : f + 1], filtered.step_A, filtered.centre)
        R, s, a = start, place, np.full(len(turns), amplitude)
        for iterations in (2, 3):  # all starts at first, the best of them to the end
            R, s, a, gain, _ = polish(
                one, xyz_A, occupancy, overlap, R, s, a, iterations, images=np.zeros(len(R), int),
                amplitude_mean=amplitude_mean,
            )  # fmt: skip
            prior = angles_between(R, rotation) ** 2 / (2 * (1.3 * np.radians(step_deg)) ** 2 / 3)
            order = np.argsort(prior - gain, kind="stable")[:FOLLOWED]
            R, s, a, gain = R[order], s[order], a[order], gain[order]
        rotation, shift_A = R[0], s[0]
        out.append((rotation, shift_A, a[0], gain[0]))
    return [np.array(column) for column in zip(*out)]


def mend(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, gain, box_A, step_deg, longest=100,
    low_runs="all",
):  # fmt: skip
    """Track every bad stretch anew from both sides; keep what raises the likelihood.

    Between two long pieces, one of them wrong, a turn moves the border by what is looked at on either side of it: the
    stretches that come up next are tracked too, until nothing changes.
    gain : (f,) log-likelihood ratio of the present poses
    low_runs : runs of low likelihood are suspects by themselves ("all"), where they touch a jump's stretch
        ("touching"), or never ("none"): against a model that is not the particle's the ratio means little
    returns rotation, shift_A, amplitude, gain, number of stretches changed
    """
    R, s, a, gain = rotation.copy(), shift_A.copy(), amplitude.copy(), gain.copy()
    model = filtered, xyz_A, occupancy, overlap
    mean, changed, asked = float(np.median(a)), 0, set()
    for _ in range(MOST_TURNS):
        stretches = bad_stretches(R, step_deg, longest)
        if low_runs == "all" or (low_runs == "touching" and stretches):
            ratio = explained(xyz_A, occupancy, overlap, R, a, gain)
            stretches = with_low_runs(stretches, ratio, alone=low_runs == "all")
        fresh = [stretch for stretch in stretches if stretch not in asked]
        asked.update(fresh)
        better = sum(
            _tracked_anew(model, R, s, a, gain, box_A, *stretch, step_deg, mean) for stretch in fresh
        )
        changed += better
        if not better:
            break
    return R, s, a, gain, changed


def _tracked_anew(model, R, s, a, gain, box_A, first, stop, step_deg, mean):
    """Whether another path through frames first to stop - 1 is better; it is then put into R, s, a, gain."""
    paths = []
    if first > 0:
        before = R[first - 1], s[first - 1], a[first - 1]
        paths.append(track_through(*model, *before, box_A, np.arange(first - 1, stop), step_deg, mean))
    if stop < len(R):
        behind = R[stop], s[stop], a[stop]
        back = track_through(*model, *behind, box_A, np.arange(stop, first - 1, -1), step_deg, mean)
        paths.append([column[::-1] for column in back])
    if len(paths) == 2:
        paths.append(_splice(paths[0], paths[1]))
    old = [R[first:stop], s[first:stop], a[first:stop], gain[first:stop]]
    score = [_path_score(p, R, first, stop, step_deg) for p in [old, *paths]]
    best = int(np.argmax(score))
    if score[best] <= score[0] + 3:
        return False
    R[first:stop], s[first:stop], a[first:stop], gain[first:stop] = paths[best - 1]
    log.info("frames %d-%d tracked anew: log-likelihood + %.0f", first, stop - 1, score[best] - score[0])
    return True


def _splice(forward, backward):
    """Forward path up to the frame where the backward one has gained more over the rest."""
    cut = int(np.argmax(np.r_[0, np.cumsum(forward[3] - backward[3])]))
    return [np.concatenate([f[:cut], b[cut:]]) for f, b in zip(forward, backward)]


def turn_cost(angle, step_deg, cap=30.0):
    """Nats that turns by `angle` (radians, any shape) from frame to frame cost, each at most `cap`.

    The walk is taken half as wide again, since its step is an estimate.
    """
    return np.minimum(angle**2 / (2 * (1.5 * np.radians(step_deg)) ** 2 / 3), cap)


def _path_score(path, R, first, stop, step_deg):
    """Likelihood of a stretch less what the turns inside it and to its neighbours cost."""
    chain = path[0]
    if first > 0:
        chain = np.concatenate([R[first - 1 : first], chain])
    if stop < len(R):
        chain = np.concatenate([chain, R[stop : stop + 1]])
    cost = turn_cost(angles_between(chain[1:], chain[:-1]), step_deg)
    return float(path[3].sum() - cost.sum())
