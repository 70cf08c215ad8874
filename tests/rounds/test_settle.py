"""A lattice path settled on its own shape: slips undone and orientations refined before any atom is known."""

import numpy as np
from scipy.spatial.transform import Rotation

from perrin.imaging.blobs import filter_frames
from perrin.imaging.lattice import sites, slip_vectors
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between, quaternions
from perrin.rounds.lock import LatticeLock
from perrin.rounds.seed import sites_around
from perrin.rounds.settle import settle
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, A_A, FRAMES = 0.358, 3.92, 120


def test_slips_and_the_grid_s_error_go_away():
    """Would catch slips that stay, a hand that turns round, and a shape that pulls the path off the lattice."""
    rng = np.random.default_rng(11)
    xyz = sites("fcc", A_A, 7.4)
    xyz = xyz[xyz @ [0.6, 0.64, 0.48] < 5.0]  # a cap is missing
    now, rotation = Rotation.random(rng=rng), np.empty((FRAMES, 3, 3))
    for f in range(FRAMES):
        now = Rotation.from_rotvec(np.radians(2.5) / np.sqrt(3) * rng.standard_normal(3)) * now
        rotation[f] = now.as_matrix()
    shift = np.cumsum(rng.normal(0, 0.1, (FRAMES, 2)), 0)
    images = simulate_boxes(xyz, quaternions(rotation), shift, 64, PIXEL, 1.6, PLAIN, seed=2)
    off = Rotation.from_rotvec(np.radians(1.5) * rng.standard_normal((FRAMES, 3))).as_matrix() @ rotation
    moved = shift + rng.normal(0, 0.15, shift.shape)
    slips = slip_vectors("fcc", A_A)
    for first, stop, which in ((10, 22, 3), (40, 70, 7), (95, 99, 11)):
        moved[first:stop] += (off[first:stop] @ slips[which])[:, :2]
    lock = LatticeLock(
        "fcc", A_A, 7.6, np.array([1, 0.9, 0.6, 0.4, 0.3]), 0.03, off, moved, xyz.mean(0), np.full(FRAMES, 100.0),
        100.0, 2.5, [],
    )  # fmt: skip
    profile = Profile.gaussian(0.45, 0.2)
    filtered, pair = filter_frames(images, PIXEL, profile), overlap(profile, profile, PIXEL)
    around = sites_around(lock, 9.0)
    settled, amplitude, _ = settle(filtered, lock, around, pair, 1.6, np.zeros((FRAMES, 2)))
    angle = np.degrees(angles_between(settled.rotation, rotation))
    apart = np.linalg.norm(settled.shift_A - shift, axis=1)
    assert np.median(np.degrees(angles_between(off, rotation))) > 1.8
    assert np.median(angle) < 1.2
    assert np.mean(apart < 0.6) > 0.97, "lattice vectors are 2.8 angstrom"
    assert np.all(amplitude > 0)
