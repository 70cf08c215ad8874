"""The number of threads must not change a result: every compiled sum, with one thread and with all."""

import numba
import numpy as np
import pytest

from perrin.atoms import joint, sites
from perrin.imaging import lattice
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test


def steps(scene, filtered, pair, poses):
    """Everything that adds up frames, atoms or pairs in parallel."""
    points = lattice.sites("fcc", 3.92, 6.0)
    yield from sites.site_equations(filtered, points, *poses, pair)
    yield from sites.point_equations(filtered, scene.xyz_A, *poses, pair)
    yield joint.normal_matrix(scene.xyz_A, scene.occupancy, pair, *poses)
    yield from joint.atom_step(filtered, scene.xyz_A, scene.occupancy, pair, *poses)
    yield from joint.covariances(scene.xyz_A, scene.occupancy, pair, *poses)
    yield from polish(filtered, scene.xyz_A, scene.occupancy, pair, *poses, walk_deg=9.0, box_A=scene.box_A)
    group, slips = lattice.rotation_group("fcc"), lattice.slip_vectors("fcc", 3.92)
    yield from segment_test(
        filtered, scene.xyz_A, scene.occupancy, pair, *poses, scene.box_A, group, slips, 9.0, stride=4
    )


def test_threads_change_nothing(scene, filtered, pair, poses):
    """Would catch two threads that add into one entry, in whatever order they come."""
    most = numba.get_num_threads()
    if most < 2:
        pytest.skip("one thread only on this machine")
    results = []
    for number in (1, most):
        numba.set_num_threads(number)
        results.append(list(steps(scene, filtered, pair, poses)))
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)
