"""Grids of orientations: what looks alike, that nothing is left uncovered, and neighbours by brute force."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging import lattice
from perrin.imaging.grids import equivalents, fibonacci_sphere, orientation_grid
from perrin.imaging.rotations import angles_between


@pytest.mark.parametrize("system, number", [("fcc", 48), ("hcp", 12)])
def test_equivalents_look_alike(system, number):
    """Would catch a half turn on the wrong side: all equivalents show the same image of a lattice ball."""
    group = lattice.rotation_group(system)
    points = lattice.sites(system, 3.0, 7.0)
    R = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    alike = equivalents(R, group)
    assert alike.shape == (number, 3, 3)
    assert angles_between(alike[:, None], alike[None])[~np.eye(number, dtype=bool)].min() > 0.1
    tree = cKDTree(points @ R[:2].T)
    for one in alike:
        assert tree.query(points @ one[:2].T)[0].max() < 1e-6
    assert np.linalg.det(alike) == pytest.approx(1)


@pytest.mark.parametrize("system", ["fcc", "hcp"])
def test_the_grid_covers_everything_once(system):
    """Would catch a zone that is too small (orientations far from every node) or too large (cost)."""
    group = lattice.rotation_group(system)
    grid = orientation_grid(group, 6.0, 10.0)
    spacing = np.radians(6.0)
    # volume of all rotations over that of a node's cell, over how many look alike
    expected = 8 * np.pi**2 / spacing**3 / (2 * len(group))
    assert len(grid.rotation) == pytest.approx(expected, rel=0.1)
    any_pose = Rotation.random(200, rng=np.random.default_rng(2)).as_matrix()
    nodes = Rotation.from_matrix(grid.rotation).as_quat()
    tree = cKDTree(np.concatenate([nodes, -nodes]))
    alike = Rotation.from_matrix(equivalents(any_pose, group).reshape(-1, 3, 3)).as_quat()
    chord = tree.query(alike)[0].reshape(len(any_pose), -1).min(1)
    away = np.degrees(4 * np.arcsin(chord / 2))
    assert away.max() < 6.0 and away.mean() < 3.6


def test_neighbours_by_brute_force():
    """Would catch neighbours lost across the faces of the zone, a wrong angle, or a node that may not stay."""
    group = lattice.rotation_group("fcc")
    grid = orientation_grid(group, 15.0, 22.0)
    n = len(grid.rotation)
    alike = equivalents(grid.rotation, group)
    exact = np.array([angles_between(alike, R).min(1) for R in grid.rotation])
    for i in range(n):
        own = grid.neighbour[i] >= 0
        found = dict(zip(grid.neighbour[i][own], grid.angle[i][own]))
        expected = np.flatnonzero(exact[i] < np.radians(22.0) - 1e-6)
        assert set(expected) <= set(found) and grid.neighbour[i, 0] == i
        for j, angle in found.items():
            assert angle == pytest.approx(exact[i, j], abs=1e-3)
            assert angle < np.radians(22.0) + 1e-3


def test_spiral_is_even():
    """Would catch a spiral that crowds at the poles: every cap holds its share of the points."""
    points = fibonacci_sphere(4000)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1)
    for axis in np.eye(3):
        assert (points @ axis > 0.9).mean() == pytest.approx(0.05, abs=0.003)
