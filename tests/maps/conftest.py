"""A planted particle of Gaussian balls whose maps and projections are known in closed form."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.records import Poses
from perrin.imaging.rotations import matrices, quaternions

PIXEL = 0.358
SIGMA = 0.5


class Particle:
    """Atoms (a, 3) in angstrom, with the map, the poses and the projections that belong to them."""

    pixel_A = PIXEL
    sigma_A = SIGMA

    def __init__(self, xyz):
        self.xyz = xyz

    def map(self, n):
        axis = (np.arange(n) - n // 2) * PIXEL
        x, y, z = (np.exp(-np.square(axis - self.xyz[:, [i]]) / (2 * SIGMA**2)) for i in range(3))
        return np.einsum("iz,iy,ix->zyx", z, y, x)

    def images(self, n, poses):
        axis = (np.arange(n) - n // 2) * PIXEL
        u = np.einsum("fij,aj->fai", matrices(poses.quaternion)[:, :2], self.xyz) + poses.shift_A[:, None]
        x = np.exp(-np.square(axis - u[..., [0]]) / (2 * SIGMA**2))
        y = np.exp(-np.square(axis - u[..., [1]]) / (2 * SIGMA**2))
        images = np.einsum("fay,fax->fyx", y, x) * np.sqrt(2 * np.pi) * SIGMA
        return (images * poses.amplitude[:, None, None]).astype(np.float32)


def planted_poses(frames, seed=0):
    rng = np.random.default_rng(seed)
    rotations = quaternions(Rotation.random(frames, rng).as_matrix())
    return Poses(
        np.arange(frames), rotations, rng.normal(0, 0.5, (frames, 2)), np.ones(frames), np.ones(frames)
    )


@pytest.fixture
def particle():
    rng = np.random.default_rng(7)
    xyz = rng.uniform(-3.2, 3.2, (40, 3))
    return Particle(xyz[np.linalg.norm(xyz, axis=1) < 3.2])


@pytest.fixture
def poses():
    return planted_poses
