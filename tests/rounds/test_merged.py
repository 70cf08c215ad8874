"""Two places that began one atom become one."""

import numpy as np

from perrin.rounds.refine import merged


def test_places_of_one_atom_become_it():
    """Would catch split atoms that share an occupancy, a mean that ignores it, or neighbours taken for one atom."""
    xyz = np.array([[0, 0, 0], [2.8, 0, 0], [0.4, 0, 0], [0, 2.8, 0.0]])
    place, occupancy = merged(xyz, np.array([0.75, 1.0, 0.25, 0.9]), 1.1)
    assert np.allclose(place, [[0.1, 0, 0], [2.8, 0, 0], [0, 2.8, 0]])
    assert np.allclose(occupancy, [1.0, 1.0, 0.9])
    same, full = merged(xyz[[0, 1, 3]], np.ones(3), 1.1)
    assert np.array_equal(same, xyz[[0, 1, 3]]) and np.array_equal(full, np.ones(3))
