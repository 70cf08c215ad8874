"""A twinned particle of which the lattice has one domain: the other one is found before windows are sought."""

import drawing
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.files.accepted import Frames
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import quaternions
from perrin.rounds.average3d import with_atoms_beyond
from perrin.rounds.refine import HIGHPASS, Solution
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, FRAMES = 0.358, 160


def test_the_other_domain_is_listed_with_the_first():
    """Would catch atoms off the lattice that are left out, or a domain that is taken for the whole particle."""
    atoms, beyond = drawing.twin(6.5)
    rng = np.random.default_rng(8)
    now, rotation = Rotation.random(rng=rng), np.empty((FRAMES, 3, 3))
    for f in range(FRAMES):
        now = Rotation.from_rotvec(np.radians(5) / np.sqrt(3) * rng.standard_normal(3)) * now
        rotation[f] = now.as_matrix()
    shift = np.cumsum(rng.normal(0, 0.1, (FRAMES, 2)), 0)
    shift -= shift.mean(0)
    images = simulate_boxes(atoms, quaternions(rotation), shift, 64, PIXEL, 1.4, PLAIN, seed=5)
    number = np.arange(FRAMES)
    data = Frames(images, number, number, np.zeros((FRAMES, 2), int), shift, np.ones(FRAMES), PIXEL)
    # what the lattice gives: one domain; and in the best stretch some of the first layer of the other
    height = atoms @ np.ones(3) / np.sqrt(3)
    level = np.full(FRAMES, 1.4 * 2 * np.pi * 0.42**2)
    flat = np.zeros(FRAMES), np.full(FRAMES, 0.01)
    profile = Profile.gaussian(0.42, HIGHPASS)
    one, some = ~beyond, height > -2.4
    lattice = Solution(rotation, shift, level, *flat, atoms[one], np.ones(one.sum()), profile, 5.0)
    best = Solution(rotation, shift, level, *flat, atoms[some], np.ones(some.sum()), profile, 5.0)
    whole = with_atoms_beyond(data, lattice, best, "fcc", 3.92)
    apart, _ = cKDTree(whole.xyz_A).query(atoms)
    assert len(whole.xyz_A) == len(atoms)
    assert np.mean(apart < 0.5) > 0.97
    assert len(with_atoms_beyond(data, lattice, None, "fcc", 3.92).xyz_A) == one.sum()
    alone = with_atoms_beyond(data, lattice, lattice, "fcc", 3.92)
    assert np.array_equal(alone.xyz_A, lattice.xyz_A), "a single crystal stays as it is"
