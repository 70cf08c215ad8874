"""A twinned particle of which the lattice has one domain: the other one is found before windows are sought."""

from dataclasses import replace

import drawing
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.files.accepted import Frames
from perrin.imaging.lattice import rotation_group
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import angles_between, quaternions
from perrin.rounds import reunite
from perrin.rounds.refine import HIGHPASS, Solution
from perrin.rounds.reunite import best_stretch, regrown, with_atoms_beyond
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, FRAMES = 0.358, 160


@pytest.fixture(scope="module")
def twin():
    """Frames of a twin, its atoms, and the Solution that has one domain of it at the true poses."""
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
    level = np.full(FRAMES, 1.4 * 2 * np.pi * 0.42**2)
    flat = np.full(FRAMES, 100.0), np.full(FRAMES, 0.01)
    profile = Profile.gaussian(0.42, HIGHPASS)
    one = atoms[~beyond]
    return data, atoms, Solution(rotation, shift, level, *flat, one, np.ones(len(one)), profile, 5.0)


def test_the_other_domain_is_listed_with_the_first(twin):
    """Would catch atoms off the lattice that are left out, or a domain that is taken for the whole particle."""
    data, atoms, lattice = twin
    # in the best stretch some of the first layer of the other
    some = atoms[atoms @ np.ones(3) / np.sqrt(3) > -2.4]
    best = replace(lattice, xyz_A=some, occupancy=np.ones(len(some)))
    whole, displaced = with_atoms_beyond(data, lattice, best, "fcc", 3.92)
    apart, _ = cKDTree(whole.xyz_A).query(atoms)
    assert len(whole.xyz_A) == len(atoms) and not displaced
    assert np.mean(apart < 0.5) > 0.97
    assert len(with_atoms_beyond(data, lattice, None, "fcc", 3.92)[0].xyz_A) == len(lattice.xyz_A)
    alone, _ = with_atoms_beyond(data, lattice, lattice, "fcc", 3.92)
    assert np.array_equal(alone.xyz_A, lattice.xyz_A), "a single crystal stays as it is"


def test_all_frames_follow_the_whole_of_the_best_stretch(twin):
    """Would catch a particle given up because one domain alone cannot tell where a third of the frames belong."""
    data, atoms, lattice = twin
    lost = np.arange(FRAMES) >= 110
    turned = np.where(lost[:, None, None], lattice.rotation @ rotation_group("fcc")[5], lattice.rotation)
    start = replace(lattice, rotation=turned, gain=np.where(lost, 20.0, 100.0))
    found, off = regrown(data, start, lost, "fcc", 3.92)
    assert not off.any()
    relative = np.einsum("fji,fjk->fik", lattice.rotation, found.rotation)
    assert np.degrees(angles_between(relative, np.broadcast_to(relative[0], relative.shape))).max() < 5
    apart, _ = cKDTree(found.xyz_A).query(atoms)
    assert np.mean(apart < 0.5) > 0.97
    same, still = regrown(data, start, np.zeros(FRAMES, bool), "fcc", 3.92)
    assert same is start and not still.any(), "what wins no frame is left as it was"


def test_loose_atoms_are_not_displaced(twin, monkeypatch):
    """Would catch a crystal taken for a faulted one because its atoms are unsure along a view that hardly turns."""
    data, _, lattice = twin
    rng = np.random.default_rng(2)
    narrow = (
        Rotation.from_rotvec(np.radians(3) * rng.standard_normal((FRAMES, 3))).as_matrix()
        @ lattice.rotation[0]
    )
    off = rng.choice([-0.9, 0.9], len(lattice.xyz_A))[:, None]
    along = replace(lattice, rotation=narrow, xyz_A=lattice.xyz_A + off * narrow[:, 2].mean(0))
    same, displaced = with_atoms_beyond(data, lattice, along, "fcc", 3.92)
    assert not displaced and np.array_equal(same.xyz_A, lattice.xyz_A)
    for step in ("_refined", "_by_own_motions"):  # what follows is not asked here
        monkeypatch.setattr(reunite, step, lambda data, start, *_: start)
    aside = replace(along, xyz_A=lattice.xyz_A + off * narrow[:, 0].mean(0))
    assert with_atoms_beyond(data, lattice, aside, "fcc", 3.92)[1], "across the view nothing is loose"


def test_a_second_stretch_has_none_of_the_frames_of_the_first(twin):
    """Would catch a hand that the same frames speak for twice."""
    data, _, lattice = twin
    free = np.arange(FRAMES) >= 75
    few, best = best_stretch(data, lattice, 3.92, "fcc", free)
    assert best is not None and np.array_equal(few.number, data.number[75:])
    none, nothing = best_stretch(data, lattice, 3.92, "fcc", np.arange(FRAMES) > 120)
    assert nothing is None and not len(none)
