"""Which of the poses of nearly equal image a frame is in: an icosahedron that lacks a few atoms."""

import numpy as np
from ase.cluster import Icosahedron
from scipy.spatial.transform import Rotation

from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between, quaternions
from perrin.imaging.symmetry import moved_images, own_motions
from perrin.rounds.follow import told_apart
from perrin.rounds.refine import HIGHPASS
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, FRAMES, STEP = 0.358, 90, 4.0


def test_a_stretch_in_another_branch_comes_back():
    """Would catch branches compared at poses that are off by degrees: these cost more than the few atoms that differ.

    Four atoms of 147 are missing; a third of the path is in the mirrored branch, all of it off by 3 degrees.
    """
    rng = np.random.default_rng(4)
    atoms = Icosahedron("Pt", 4, 3.95).positions
    atoms -= atoms.mean(0)
    atoms = np.delete(
        atoms, rng.choice(np.arange(55, 147), 4, replace=False), axis=0
    )  # of the outermost shell
    atoms -= atoms.mean(0)
    now, rotation = Rotation.random(rng=rng), np.empty((FRAMES, 3, 3))
    for f in range(FRAMES):
        now = Rotation.from_rotvec(np.radians(STEP) / np.sqrt(3) * rng.standard_normal(3)) * now
        rotation[f] = now.as_matrix()
    shift = np.cumsum(rng.normal(0, 0.1, (FRAMES, 2)), 0)
    images = simulate_boxes(atoms, quaternions(rotation), shift, 72, PIXEL, 1.4, PLAIN, seed=5)
    profile = Profile.gaussian(0.42, HIGHPASS)
    model = (
        filter_frames(images, PIXEL, profile),
        atoms,
        np.ones(len(atoms)),
        overlap(profile, profile, PIXEL),
    )
    own = own_motions(atoms)
    assert own.proper == 60 and len(own) == 120

    R, s = rotation.copy(), shift.copy()
    every, places = moved_images(R, s, own)
    R[30:60], s[30:60] = every[30:60, own.proper + 1], places[30:60, own.proper + 1]
    R = Rotation.from_rotvec(np.radians(3) / np.sqrt(3) * rng.standard_normal((FRAMES, 3))).as_matrix() @ R
    level = np.full(FRAMES, 1.4 * 2 * np.pi * 0.42**2)
    assert np.degrees(angles_between(R[30:60], rotation[30:60])).min() > 10
    for stride in (1, 4):
        found, place, _ = told_apart(
            *model,
            R,
            s,
            level,
            own,
            np.zeros((FRAMES, 2)),
            np.ones(FRAMES),
            STEP,
            stride=stride,
            iterations=3,
        )
        error = np.degrees(angles_between(found, rotation))
        assert error.max() < 9, "those between the frames that are asked keep their own errors"
        assert np.median(error[::stride]) < 1.0
        assert np.abs(place - shift)[::stride].max() < 0.3
