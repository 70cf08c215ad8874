"""Frames drawn pixel by pixel: the slow and plain twin of the library's closed forms, for tests of several rooms."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging import lattice
from perrin.imaging.profile import Profile

PIXEL_A = 0.4
SIDE = 64


@dataclass(frozen=True)
class Scene:
    """A tumbling cluster and its frames: everything planted, in the library's conventions."""

    xyz_A: np.ndarray
    occupancy: np.ndarray
    profile: Profile
    rotation: np.ndarray
    shift_A: np.ndarray
    amplitude: np.ndarray
    box_A: np.ndarray
    frames: np.ndarray


def spots(places_A, weight, profile, side=SIDE, pixel_A=PIXEL_A):
    """One raw image (side, side): sum of an atom's Gaussians, before any high-pass, at (n, 2) places (x, y)."""
    axis = (np.arange(side) - side // 2) * pixel_A
    image = np.zeros((side, side))
    for w, sigma in zip(profile.weight, profile.sigma_A):
        gx = np.exp(-np.square(axis - places_A[:, :1]) / (2 * sigma**2))
        gy = np.exp(-np.square(axis - places_A[:, 1:]) / (2 * sigma**2))
        image += w / (2 * np.pi * sigma**2) * (gy.T @ (np.asarray(weight)[:, None] * gx))
    return image


def high_pass(image, s, pixel_A=PIXEL_A):
    """H(k) = 1 - exp(-k^2 / 2 s^2) by the full complex transform."""
    k = np.fft.fftfreq(image.shape[-1], pixel_A)
    k2 = k[:, None] ** 2 + k[None, :] ** 2
    return np.fft.ifft2(np.fft.fft2(image) * (1 - np.exp(-k2 / (2 * s**2)))).real


def model_image(xyz_A, occupancy, R, shift_A, profile, side=SIDE, pixel_A=PIXEL_A):
    """The high-passed image of a model at one pose."""
    return high_pass(
        spots(xyz_A @ R[:2].T + shift_A, occupancy, profile, side, pixel_A), profile.highpass, pixel_A
    )


def cluster(radius_A=5.6, a_A=3.92, rattle_A=0.0, seed=0, cap_A=2.2):
    """(n, 3) fcc sites of a ball with two sides cut off, so that no rotation, mirror or shift leaves it as it is."""
    points = lattice.sites("fcc", a_A, radius_A, (0.7, -0.5, 0.4))
    points = points[(points @ [0.48, 0.60, 0.64] < cap_A + 1.5) & (points @ [-0.8, 0.6, 0.0] < cap_A + 0.8)]
    return points + rattle_A * np.random.default_rng(seed).normal(size=points.shape)


def walk(frames, step_deg, rng):
    """(f, 3, 3) random walk of orientations with an rms step."""
    turns = Rotation.from_rotvec(np.radians(step_deg) / np.sqrt(3) * rng.normal(size=(frames, 3)))
    path = [Rotation.random(rng=rng)]
    for turn in turns[1:]:
        path.append(turn * path[-1])
    return Rotation.concatenate(path).as_matrix()


def scene(
    frames=40, noise=1.0, amplitude=3.0, step_deg=2.5, xyz_A=None, occupancy=None, profile=None, seed=0,
    rotation=None,
):  # fmt: skip
    """Frames with unit noise (times `noise`) of a cluster that tumbles and drifts."""
    rng = np.random.default_rng(seed)
    xyz = cluster() if xyz_A is None else xyz_A
    o = np.ones(len(xyz)) if occupancy is None else occupancy
    profile = Profile.gaussian(0.45, 0.2) if profile is None else profile
    rotation = walk(frames, step_deg, rng) if rotation is None else rotation
    place = np.cumsum(0.12 * rng.normal(size=(frames, 2)), axis=0)
    box = np.rint(place / PIXEL_A) * PIXEL_A  # the box follows in whole pixels
    shift = place - box
    a = amplitude * (1 + 0.05 * rng.normal(size=frames))
    clean = [level * spots(xyz @ R[:2].T + s, o, profile) for level, R, s in zip(a, rotation, shift)]
    images = np.array(clean) + noise * rng.normal(size=(frames, SIDE, SIDE))
    return Scene(xyz, o, profile, rotation, shift, a, box, images.astype(np.float32))


def twin(reach_A):
    """Atoms of two fcc halves that mirror each other across a {111} plane, and the rows of the upper half."""
    every, nearest = lattice.sites("fcc", 3.92, reach_A + 6), 3.92 / np.sqrt(2)
    normal = np.ones(3) / np.sqrt(3)
    height = every @ normal
    upper = every[height > 0.1] - 2 * (height[height > 0.1])[:, None] * normal  # mirrored downwards
    both = np.concatenate([every[height > -0.1], upper])
    both = both[np.linalg.norm(both - 0.3, axis=1) < reach_A]
    both = both[cKDTree(both).query_ball_point(both, 1.1 * nearest, return_length=True) > 3]  # and itself
    return both, both @ normal < -0.1
