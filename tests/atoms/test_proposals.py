"""Atoms to add and to take away: a vacancy, a lost corner and an invented atom are put right."""

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.proposals import add_and_remove, empty_sites
from perrin.imaging import lattice

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
    again = add_and_remove(filtered, scene.xyz_A, scene.occupancy, pair, *poses, NEAREST_A)
    assert again[2:] == (0, 0)
