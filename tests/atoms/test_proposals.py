"""Atoms to add and to take away: a vacancy, a lost corner and an invented atom are put right."""

import drawing
import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.atoms.joint import atom_step
from perrin.atoms.proposals import add_and_remove, empty_sites, lone_places, merged, nudged
from perrin.imaging import lattice
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import quaternions
from perrin.simulate.images import PLAIN, simulate_boxes

NEAREST_A = lattice.nearest_distance("fcc", 3.92)


def test_empty_sites_are_the_vacancies_and_the_next_layer():
    """Would catch sites on top of atoms, and a vacancy that is not proposed."""
    every = lattice.sites("fcc", 3.92, 12.0)
    atoms = lattice.sites("fcc", 3.92, 5.6)
    atoms = atoms[np.linalg.norm(atoms, axis=1) > 0.1]  # a vacancy in the middle
    found = empty_sites(atoms, NEAREST_A)
    assert cKDTree(every).query(found)[0].max() < 1e-6, "off the lattice"
    assert cKDTree(atoms).query(found)[0].min() > 0.8 * NEAREST_A
    assert np.linalg.norm(found, axis=1).min() < 1e-6, "the vacancy"
    count = cKDTree(atoms).query_ball_point(every, 1.25 * NEAREST_A, return_length=True)
    expected = every[(count >= 3) & (cKDTree(atoms).query(every)[0] > 0.1)]
    assert len(found) == len(expected)


def test_a_missing_atom_is_added_and_an_invented_one_dropped(scene, filtered, pair, poses):
    """Would catch thresholds the wrong way round, and neighbours of a wrong atom that go with it."""
    empty = empty_sites(scene.xyz_A, NEAREST_A)
    invented = empty[np.argmax(np.linalg.norm(empty, axis=1))]
    inner = np.argmin(np.linalg.norm(scene.xyz_A - scene.xyz_A.mean(0), axis=1))
    corner = np.argmax(np.linalg.norm(scene.xyz_A - scene.xyz_A.mean(0), axis=1))
    wrong = np.concatenate([np.delete(scene.xyz_A, [inner, corner], 0), invented[None]])
    xyz, o, added, removed = add_and_remove(filtered, wrong, np.ones(len(wrong)), pair, *poses, NEAREST_A)
    assert (added, removed) == (2, 1)
    assert len(xyz) == len(o) == len(scene.xyz_A)
    assert cKDTree(xyz).query(scene.xyz_A)[0].max() < 0.6
    # a place that two candidates share is one atom, not two halves
    both = add_and_remove(filtered, wrong, np.ones(len(wrong)), pair, *poses, NEAREST_A, lone=True)
    assert both[2:] == (2, 1)
    again = add_and_remove(filtered, scene.xyz_A, scene.occupancy, pair, *poses, NEAREST_A)
    assert again[2:] == (0, 0)


def test_hollows_of_a_face_hold_the_next_layer_of_a_twin():
    """Would catch candidates that only continue the stacking: the layer beyond a twin boundary is in none of them."""
    atoms, beyond = drawing.twin(7.0)
    kept = atoms[~beyond]
    tree = cKDTree(empty_sites(kept, NEAREST_A, faults=True))
    first = beyond & (atoms @ np.ones(3) / np.sqrt(3) > -2.5)
    near = cKDTree(kept).query_ball_point(atoms[first], 1.1 * NEAREST_A, return_length=True) >= 3
    assert near.sum() > 8
    assert tree.query(atoms[first][near])[0].max() < 0.1
    assert cKDTree(empty_sites(kept, NEAREST_A)).query(atoms[first][near])[0].max() > 1.0


def test_a_twin_grows_across_its_boundary():
    """Would catch a fault that is proposed and not believed, or the stacking's continuation taken in its place."""
    atoms, beyond = drawing.twin(6.0)
    rng = np.random.default_rng(4)
    R, s = Rotation.random(150, rng=rng).as_matrix(), rng.normal(0, 0.5, (150, 2))
    profile = Profile.gaussian(0.42, 0.2)
    images = simulate_boxes(atoms, quaternions(R), s, 64, 0.358, 1.1, PLAIN, seed=3)
    filtered, pair = filter_frames(images, 0.358, profile), overlap(profile, profile, 0.358)
    xyz, level = atoms[~beyond], np.full(len(R), 1.1 * 2 * np.pi * 0.42**2)
    for _ in range(4):
        xyz, o, added, _ = add_and_remove(filtered, xyz, np.ones(len(xyz)), pair, R, s, level, NEAREST_A)
        for _ in range(3):  # a layer is put on the one before: its errors would add up
            xyz, o, _ = atom_step(filtered, xyz, o, pair, R, s, level)
    assert added == 0
    assert len(xyz) == len(atoms)
    assert cKDTree(xyz).query(atoms)[0].max() < 0.5


def test_a_displaced_atom_is_found_where_it_is(scene, filtered, pair, poses):
    """Would catch a candidate that is judged where the lattice would have it: half an angstrom off it looks grey."""
    lost = int(np.argmax(np.linalg.norm(scene.xyz_A - scene.xyz_A.mean(0), axis=1)))
    rest = np.delete(scene.xyz_A, lost, 0)
    away = (scene.xyz_A[lost] - scene.xyz_A.mean(0)) / np.linalg.norm(scene.xyz_A[lost] - scene.xyz_A.mean(0))
    side = np.cross(away, [0.3, 0.5, 0.8])
    wanted = scene.xyz_A[lost] + 0.5 * side / np.linalg.norm(side)
    points = np.concatenate([rest, wanted[None]])
    place = nudged(wanted[None], points, np.ones(len(points)), filtered, *poses, pair)
    assert np.linalg.norm(place[0] - scene.xyz_A[lost]) < 0.2


def test_an_atom_that_rests_on_one_other_is_found():
    """Would catch a search where a lattice goes on only: no atom's place is proposed by a single neighbour."""
    atoms = drawing.cluster()
    tip = np.argmax(atoms @ [0.0, 0.0, 1.0])
    lone = atoms[tip] + 0.98 * NEAREST_A * np.array([0.1, 0.3, 0.9]) / np.linalg.norm([0.1, 0.3, 0.9])
    every = np.concatenate([atoms, lone[None]])
    assert (np.linalg.norm(atoms - lone, axis=1) < 1.25 * NEAREST_A).sum() <= 2
    rng = np.random.default_rng(8)
    R, s = Rotation.random(150, rng=rng).as_matrix(), rng.normal(0, 0.3, (150, 2))
    profile = Profile.gaussian(0.42, 0.2)
    images = simulate_boxes(every, quaternions(R), s, 64, 0.358, 1.1, PLAIN, seed=3)
    filtered, pair = filter_frames(images, 0.358, profile), overlap(profile, profile, 0.358)
    level = np.full(len(R), 1.1 * 2 * np.pi * 0.42**2)
    seen = filtered, R, s, level, pair
    found = lone_places(atoms, np.ones(len(atoms)), NEAREST_A, *seen)
    assert np.linalg.norm(found - lone, axis=1).min() < 0.8
    assert len(lone_places(every, np.ones(len(every)), NEAREST_A, *seen)) == 0
    args = filtered, atoms, np.ones(len(atoms)), pair, R, s, level, NEAREST_A
    assert add_and_remove(*args)[2:] == (0, 0)
    xyz, _, added, removed = add_and_remove(*args, lone=True)
    assert (added, removed) == (1, 0)
    assert np.linalg.norm(xyz - lone, axis=1).min() < 0.4


def test_places_of_one_atom_become_it():
    """Would catch split atoms that share an occupancy, a mean that ignores it, or neighbours taken for one atom."""
    xyz = np.array([[0, 0, 0], [2.8, 0, 0], [0.4, 0, 0], [0, 2.8, 0.0]])
    place, occupancy = merged(xyz, np.array([0.75, 1.0, 0.25, 0.9]), 1.1)
    assert np.allclose(place, [[0.1, 0, 0], [2.8, 0, 0], [0, 2.8, 0]])
    assert np.allclose(occupancy, [1.0, 1.0, 0.9])
    same, full = merged(xyz[[0, 1, 3]], np.ones(3), 1.1)
    assert np.array_equal(same, xyz[[0, 1, 3]]) and np.array_equal(full, np.ones(3))
