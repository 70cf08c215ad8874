"""Frames of a tumbling fcc ball with known truth."""

import numpy as np
from scipy.spatial.transform import Rotation

from perrin.simulate.images import RINGED, project_atoms

PIXEL_A = 0.358


def fcc_ball(radius_A, lattice_A=3.92):
    """(n, 3) atoms about their centroid, and the radius of the ball of their volume."""
    i = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).reshape(-1, 3)
    xyz = i[i.sum(1) % 2 == 0] * lattice_A / 2 + np.array([0.3, -0.2, 0.5])
    xyz = xyz[np.linalg.norm(xyz, axis=1) <= radius_A]
    return xyz - xyz.mean(0), (3 / 4 / np.pi * len(xyz) * lattice_A**3 / 4) ** (1 / 3)


def tumbling_frames(count, n=64, radius_A=7.0, step_deg=2.5, height=0.9, jitter_px=0.0, seed=0):
    """Frames of unit noise of a ball that tumbles.

    -> frames (count, n, n), centres (count, 2) px from the box centre, true radius, frames without noise
    """
    rng = np.random.default_rng(seed)
    atoms, radius = fcc_ball(radius_A)
    turn = Rotation.random(rng=seed)
    quaternion = []
    for vector in np.radians(step_deg / np.sqrt(3)) * rng.standard_normal((count, 3)):
        turn = Rotation.from_rotvec(vector) * turn
        quaternion.append(turn.as_quat(scalar_first=True))
    centre = jitter_px * rng.standard_normal((count, 2))
    clean = project_atoms(atoms, np.array(quaternion), centre + n // 2, (n, n), PIXEL_A, RINGED)
    clean *= height
    frames = clean + rng.standard_normal((count, n, n))
    return frames.astype(np.float32), centre, radius, clean
