"""Which directions a window has seen, and where it is blind, in words, before the expensive work."""

import numpy as np
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from perrin.imaging.rotations import matrices

NEAR_DEG = 5.0
# Windows of 600-1200 frames in which every atom was found had shares of 0.48-0.80 of the shell and 67-300 frames'
# worth along their worst axis. On a lattice atoms come out whole, if less exactly, from 0.19 and 3 (100-150 frames of
# a free particle), not quite with 0.12 and 0.5.
GOOD_SHELL, FAILED_SHELL = 0.45, 0.15
GOOD_FRAMES, FAILED_FRAMES = 50, 2


def sphere(n):
    """(n, 3) unit vectors spread evenly (Fibonacci spiral)."""
    i = np.arange(n) + 0.5
    z = 1 - 2 * i / n
    turn = np.pi * (1 + np.sqrt(5)) * i
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], 1)


def beam_directions(poses):
    """(f, 3) unit vectors of the body along which the beam ran: R^T z."""
    return matrices(poses.quaternion)[:, 2]


def share_within(views, near_deg=NEAR_DEG, points=20000):
    """Share of the sphere that lies within near_deg of a view, (f, 3) unit vectors."""
    distance, _ = KDTree(views).query(sphere(points))
    return float(np.mean(distance <= 2 * np.sin(np.radians(near_deg) / 2)))


def fourier_sampling(views, diameter_A, resolution_A, points=4000):
    """How many frames measured each direction of a Fourier shell.

    A frame measures the plane across its beam, 1 / diameter thick, so at frequency 1 / resolution it holds
    the directions within asin(resolution / (2 diameter)) of that plane.
    returns (points, 3) unit vectors of half a sphere, (points,) frames
    """
    directions = sphere(2 * points)[:points]
    limit = resolution_A / (2 * diameter_A)
    count = np.zeros(points)
    for first in range(0, len(views), 2000):
        count += np.sum(np.abs(directions @ views[first : first + 2000].T) <= limit, axis=1)
    return directions, count


def coverage(poses, symmetric=None, diameter_A=20.0, resolution_A=1.0):
    """Numbers and a verdict on the views of a window.

    poses : Poses
    symmetric : None, or "O" where the lattice's 24 rotations may be used to fold views (an fcc start)
    diameter_A, resolution_A : size of the particle, finest detail wanted
    returns a dict for coverage.json:
      frames; directions_seen, share of the sphere within 5 degrees of a view or of its opposite (a projection
      from behind is the mirror image); directions_seen_folded, with the 24 rotations of the cube, for poses in
      the axes of a cubic lattice; fourier_coverage, share of the shell at resolution_A seen at least once; scf,
      harmonic over arithmetic mean of its sampling (1: even; Baldwin and Lyumkis 2020); weakest_sampling, the
      first percentile of the sampling over its mean; blind_axis (body), along which positions are known
      worst; blind_axis_information, that axis' share of what even views would give; effective_frames, that
      share times the frames; verdict, why
    """
    frames = len(poses)
    if frames == 0:
        return {"frames": 0, "verdict": "failed", "why": "no frame of this window has a pose"}
    views = beam_directions(poses)
    both = np.concatenate([views, -views])
    turns = Rotation.create_group("O").as_matrix()
    folded = np.einsum("gij,fj->gfi", turns, both).reshape(-1, 3)
    directions, count = fourier_sampling(views, diameter_A, resolution_A)
    shell = float(np.mean(count > 0))
    # an unseen direction counts as half a frame: the measure stays finite and near zero
    scf = float(1 / np.mean(1 / np.maximum(count, 0.5)) / max(count.mean(), 0.5))
    # a frame measures positions across the beam only: information (I - d d^T) a frame
    information = np.eye(3) - views.T @ views / frames
    values, axes = np.linalg.eigh(information)
    axis = axes[:, 0] * (1 if axes[np.argmax(np.abs(axes[:, 0])), 0] > 0 else -1)
    numbers = {
        "frames": frames,
        "directions_seen": share_within(both),
        "directions_seen_folded": share_within(folded),
        "fourier_coverage": shell,
        "scf": scf,
        "weakest_sampling": float(np.quantile(count, 0.01) / max(count.mean(), 1e-9)),
        "blind_axis": [float(value) for value in axis],
        "blind_axis_information": float(1.5 * max(values[0], 0.0)),
        "effective_frames": float(1.5 * max(values[0], 0.0) * frames),
        "diameter_A": float(diameter_A),
        "resolution_A": float(resolution_A),
    }
    return numbers | _verdict(numbers, symmetric)


def _verdict(numbers, symmetric):
    shell, worth = numbers["fourier_coverage"], numbers["effective_frames"]
    where = ", ".join(f"{value:.2f}" for value in numbers["blind_axis"])
    seen = (
        f"{numbers['frames']} frames saw {100 * shell:.0f} % of the Fourier shell at {numbers['resolution_A']:g} A "
        f"and {100 * numbers['directions_seen']:.0f} % of all directions"
    )
    if symmetric == "O":
        seen += f" ({100 * numbers['directions_seen_folded']:.0f} % after folding by the lattice)"
    weak = f"positions along the body axis ({where}) are known as if from {worth:.0f} frames of even views"
    if shell < FAILED_SHELL or worth < FAILED_FRAMES:
        return {"verdict": "failed", "why": f"too few directions for atoms: {seen}; {weak}"}
    if shell < GOOD_SHELL or worth < GOOD_FRAMES:
        return {"verdict": "doubtful", "why": f"{seen}; {weak}: expect atoms smeared along it"}
    return {"verdict": "good", "why": f"{seen}; {weak}"}
