"""Lattices: numbers from any textbook, and the sites themselves as oracle for reflections and symmetry."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging import lattice

SYSTEMS = {"fcc": 3.92, "bcc": 3.16, "hcp": 2.95}
systems = pytest.mark.parametrize("system, a_A", SYSTEMS.items())


@pytest.mark.parametrize(
    "system, shells",
    [
        ("fcc", [(0.5, 12), (1, 6), (1.5, 24)]),
        ("bcc", [(0.75, 8), (1, 6), (2, 12)]),
        ("hcp", [(1, 12), (2, 6)]),
    ],
)
def test_shells_of_neighbours(system, shells):
    """Would catch a wrong basis: squared distances in units of a, and how many neighbours are there."""
    a = SYSTEMS[system]
    points = lattice.sites(system, a, 4 * a)
    one = points[np.argmin(np.linalg.norm(points, axis=1))]
    squared = np.square((points - one) / a).sum(1)
    for distance, count in shells:
        assert (np.abs(squared - distance) < 1e-6).sum() == count
    assert lattice.nearest_distance(system, a) == pytest.approx(a * np.sqrt(shells[0][0]))


@pytest.mark.parametrize(
    "system, halves", [("fcc", [4, 3, 6, 12, 4]), ("bcc", [6, 3, 12]), ("hcp", [3, 1, 6])]
)
def test_reflections_of_each_shell(system, halves):
    """Would catch forbidden reflections let in, allowed ones lost, and pairs counted twice."""
    a = SYSTEMS[system]
    found = lattice.reflections(system, a, 3.5 / a)
    assert np.bincount(found.shell)[: len(halves)].tolist() == halves
    pairs = cKDTree(found.G).query(-found.G)[0]
    assert pairs.min() > 1e-6, "both of a pair"
    assert (np.diff(np.linalg.norm(found.G, axis=1)) > -1e-9).all()


@systems
def test_structure_factors_are_sums_over_the_atoms(system, a_A):
    """Would catch a phase of the other sign or about another origin, which hcp has and fcc hides."""
    points = lattice.sites(system, a_A, 3.1 * a_A)
    found = lattice.reflections(system, a_A, 2.5 / a_A)
    expected = np.exp(-2j * np.pi * found.G @ points.T).mean(1)
    np.testing.assert_allclose(found.phase, expected, atol=1e-9)


@systems
def test_density_and_nearest_distance(system, a_A):
    """Would catch a volume per cell where one per atom is meant."""
    radius = 9 * a_A
    points = lattice.sites(system, a_A, radius)
    assert len(points) == pytest.approx(
        4 / 3 * np.pi * radius**3 / lattice.volume_per_atom(system, a_A), rel=0.02
    )
    assert cKDTree(points).query(points, 2)[0][:, 1].min() == pytest.approx(
        lattice.nearest_distance(system, a_A)
    )


@systems
def test_rotations_and_inversion_leave_the_sites(system, a_A):
    """Would catch a group with too many rotations (12 for hcp) or an origin that is no centre of inversion."""
    points = lattice.sites(system, a_A, 3.1 * a_A)
    tree = cKDTree(points)
    group = lattice.rotation_group(system)
    assert len(group) == (6 if system == "hcp" else 24)
    for rotation in [*group, -np.eye(3)]:
        assert tree.query(points @ rotation.T)[0].max() < 1e-6


@systems
def test_branches_are_all_ways_to_lay_the_lattice_upon_itself(system, a_A):
    """Would catch hcp's screw axes being left out, which images cannot tell from rotations, or a wrong half of c."""
    rotations, slips = lattice.branches(system, a_A)
    assert len(rotations) == (12 if system == "hcp" else 24)
    tree = cKDTree(lattice.sites(system, a_A, 6 * a_A))
    near = lattice.sites(system, a_A, 3 * a_A)
    proper = lattice.rotation_group(system)
    for rotation in rotations:
        lies = [tree.query(near @ rotation.T + slip)[0].max() < 1e-6 for slip in slips]
        simple = np.abs(proper - rotation).max((1, 2)).min() < 1e-9
        assert lies[0] == simple and any(lies)
        assert sum(lies) == (len(lattice.slip_vectors(system, a_A)) if simple else 2)


@systems
def test_slips_are_translations_of_the_lattice(system, a_A):
    """Would catch vectors between the two atoms of hcp's cell, which are no translations; zero comes first."""
    slips = lattice.slip_vectors(system, a_A)
    assert not slips[0].any()
    assert len(slips) == {"fcc": 13, "bcc": 9, "hcp": 7}[system]
    tree = cKDTree(lattice.sites(system, a_A, 6 * a_A))
    near = lattice.sites(system, a_A, 3 * a_A)
    for slip in slips:
        assert tree.query(near + slip)[0].max() < 1e-6


def test_sites_lie_about_the_given_centre():
    """Would catch a ball about the lattice's origin instead of the particle's centre."""
    centre = np.array([1.1, -0.6, 2.9])
    points = lattice.sites("fcc", 3.92, 7.0, centre)
    every = lattice.sites("fcc", 3.92, 14.0)
    assert len(points) == (np.linalg.norm(every - centre, axis=1) <= 7.0).sum()


@systems
def test_constant_of_atoms_about_a_lattice(system, a_A):
    """Would catch a site taken for its neighbour far from the origin, and a turn that passes for a scale."""
    rng = np.random.default_rng(3)
    true = 1.012 * a_A
    points = lattice.sites(system, true, 3 * a_A, (0.6, 0.2, 0.9))
    turned = points @ Rotation.from_rotvec([0.01, -0.02, 0.005]).as_matrix().T + [1.2, -3, 0.4]
    assert lattice.fitted_constant(turned, system, a_A) == pytest.approx((true, len(points)), abs=1e-8)
    stray = np.concatenate([turned, turned[:9] + [0.45 * lattice.nearest_distance(system, a_A), 0, 0]])
    found, on = lattice.fitted_constant(stray + rng.normal(0, 0.08, stray.shape), system, a_A)
    assert found == pytest.approx(true, abs=0.006) and on <= len(points)
    assert lattice.fitted_constant(points[:3], system, a_A)[1] == 0


@pytest.mark.parametrize("system", ["fcc", "bcc", "hcp"])
def test_the_deformation_of_strained_atoms_is_found(system):
    """Would catch a stretch that its own errors lengthen, and one that is lost where far atoms miss their sites."""
    rng, a_A = np.random.default_rng(3), {"fcc": 3.92, "bcc": 3.3, "hcp": 2.95}[system]
    points = lattice.sites(system, a_A, 10.0, (0.4, 0.3, 0.2))
    along = np.array([0.6, 0.48, 0.64])
    F = np.eye(3) + 0.07 * np.outer(along, along) + rng.normal(0, 0.004, (3, 3))
    atoms = points @ F.T + [5.0, -2.0, 1.0]
    found, on, off = lattice.fitted_deformation(atoms, system, a_A)
    np.testing.assert_allclose(found, F, atol=1e-9)
    np.testing.assert_allclose(off, 0, atol=1e-9)
    assert on.all()
    loose = atoms + np.outer(rng.normal(0, 0.15, len(atoms)), along)
    found, on, off = lattice.fitted_deformation(loose, system, a_A)
    away = (loose - atoms)[on] - (loose - atoms)[on].mean(0)
    assert np.corrcoef(off[on] @ along, away @ along)[0, 1] > 0.95 and np.isnan(off[~on]).all()
    np.testing.assert_allclose(along @ found @ along, along @ F @ along, atol=0.006)
    assert on.mean() > 0.9
    # errors of half a bond along one direction: sites are found across it, and no two atoms share one
    lost = atoms + np.outer(rng.normal(0, 0.5, len(atoms)), along)
    weight = np.eye(3) - 2 / 3 * np.outer(along, along)
    few, (found, on, off) = (
        lattice.fitted_deformation(lost, system, a_A)[1],
        lattice.fitted_deformation(lost, system, a_A, weight=weight),
    )
    assert few.mean() < 0.85 < 0.9 < on.mean()
    places = ((lost - off)[on] - (lost - off)[on][0]) @ np.linalg.inv(found).T
    assert np.linalg.norm(places[:, None] - places + 9 * np.eye(on.sum())[:, :, None], axis=2).min() > 1
    assert not lattice.fitted_deformation(points[:3], system, a_A)[1].any()
