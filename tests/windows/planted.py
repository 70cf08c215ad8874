"""Small movies of a tumbling fcc particle whose atoms come and go as planted, and the files that stages read."""

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from perrin.files.atomic import write_json
from perrin.files.models import write_atoms
from perrin.files.poses import write_poses
from perrin.files.records import Atoms, Poses
from perrin.files.stacks import write_stack
from perrin.imaging.lattice import sites
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import quaternions

PIXEL, BOX, A = 0.358, 48, 3.9242
PROFILE = Profile.gaussian(0.42, 0.2)
HEIGHT = 0.95  # of an atom, in units of the noise: about one nat a frame


def particle():
    """An fcc particle of some 50 atoms without symmetry: a ball with a cap cut off."""
    xyz = sites("fcc", A, 6.4)
    xyz = xyz[xyz @ [0.6, 0.64, 0.48] < 4.0]
    return xyz - xyz.mean(0)


def walk(frames, step_deg=2.5, seed=0):
    """(f, 3, 3) rotations of a random walk."""
    rng = np.random.default_rng(seed)
    turn, out = Rotation.random(rng=rng), []
    for vector in np.radians(step_deg / np.sqrt(3)) * rng.standard_normal((frames, 3)):
        turn = Rotation.from_rotvec(vector) * turn
        out.append(turn.as_matrix())
    return np.array(out)


def images_of(xyz, present, rotation, height=HEIGHT, seed=0):
    """(f, n, n) images of unit noise in which atom j is there in frame f to the extent of present[f, j]."""
    axis = (np.arange(BOX) - BOX // 2) * PIXEL
    u = np.einsum("fij,aj->fai", rotation[:, :2], xyz)
    sigma, weight = PROFILE.sigma_A[0], PROFILE.weight[0]
    x = np.exp(-np.square(axis - u[..., [0]]) / (2 * sigma**2)) * present[..., None]
    y = np.exp(-np.square(axis - u[..., [1]]) / (2 * sigma**2))
    clean = height * weight / (2 * np.pi * sigma**2) * np.einsum("fay,fax->fyx", y, x, optimize=True)
    return (clean + np.random.default_rng(seed).standard_normal(clean.shape)).astype(np.float32)


def write_movie(folder, images, accepted=None):
    """clean.mrcs, frames.csv, tracks.csv of a movie; returns their paths by the stages' names."""
    frames = np.arange(len(images))
    write_stack(folder / "clean.mrcs", images, PIXEL)
    accepted = np.ones(len(images), int) if accepted is None else accepted
    pd.DataFrame({"frame": frames, "accepted": accepted}).to_csv(folder / "frames.csv", index=False)
    where = dict.fromkeys(("x_px", "y_px", "box_x_px", "box_y_px"), 40)
    pd.DataFrame({"frame": frames, **where}).to_csv(folder / "tracks.csv", index=False)
    return {
        "clean": folder / "clean.mrcs",
        "frames": folder / "frames.csv",
        "tracks": folder / "tracks.csv",
    }


def poses_file(path, number, rotation, height=HEIGHT):
    """poses.csv of some frames."""
    count = len(number)
    write_poses(
        path,
        Poses(number, quaternions(rotation), np.zeros((count, 2)), np.full(count, height), np.ones(count)),
    )
    return path


def atoms_file(path, xyz, occupancy=None):
    """An atomic model as csv."""
    count = len(xyz)
    occupancy = np.ones(count) if occupancy is None else occupancy
    model = Atoms(xyz, occupancy, np.full((count, 3, 3), np.nan), np.ones(count), "Pt")
    write_atoms(path, model, BOX, PIXEL)
    return path


def facts():
    """What lattice.json and profile.json say of the profile."""
    profile = {
        "sigmas_A": PROFILE.sigma_A,
        "weights": PROFILE.weight,
        "highpass_A1": PROFILE.highpass,
    }
    return {"profile": profile, **profile, "step_deg": 2.5, "verdict": "good", "why": ""}


def json_file(path, content):
    """A JSON file."""
    write_json(path, content)
    return path
