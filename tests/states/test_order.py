"""Local order: structures named, invariants of perfect crystals."""

import numpy as np
import pytest
from clusters import octahedron, shuffled, sphere

from perrin.imaging import lattice
from perrin.states import order, surface
from perrin.states.lattice_fit import fit_lattice

A = 3.912
CUT = 3.339


def named(xyz, cut=CUT):
    return order.structure(xyz, cut, fit_lattice(xyz, "fcc", A))[0]


def test_structures_are_named():
    """Would catch coordination mistaken for structure: twelve neighbours have fcc, hcp and icosahedra alike."""
    cluster = pytest.importorskip("ase.cluster")
    assert named(shuffled(octahedron(7, 2), A, 1)) == "fcc"
    assert named(cluster.Icosahedron("Pt", 5, A).positions) == "icosahedral"
    assert named(cluster.Decahedron("Pt", 3, 3, 2, A).positions) == "decahedral"
    assert named(lattice.sites("hcp", A / np.sqrt(2), 9)) == "hcp"
    points = sphere(40) * A / 2
    normal = np.ones(3) / np.sqrt(3)
    lower = points[points @ normal < 1e-6]
    mirrored = lower - 2 * np.outer(lower @ normal, normal)
    assert named(np.r_[lower, mirrored[mirrored @ normal > 1e-6]]) == "twinned"
    rng = np.random.default_rng(0)
    cloud = [np.zeros(3)]
    for point in rng.uniform(-8, 8, (4000, 3)):
        if np.linalg.norm(point) < 8 and np.linalg.norm(cloud - point, axis=1).min() > 2.2:
            cloud.append(point)
    assert named(np.array(cloud)) == "amorphous"


def test_every_atom_inside_an_icosahedron():
    """Would catch a wrong signature: the Mackay icosahedron of 309 has 1 centre, 36 on axes, 90 hcp, 20 fcc inside."""
    cluster = pytest.importorskip("ase.cluster")
    kind = order.common_neighbours(cluster.Icosahedron("Pt", 5, A).positions, CUT)
    name, count = np.unique(kind.astype(str), return_counts=True)
    assert dict(zip(name, count.tolist())) == {
        "fcc": 20,
        "fivefold": 36,
        "hcp": 90,
        "icosahedral": 1,
        "other": 162,
    }


def test_bcc_atoms():
    """Would catch the second shell of bcc missed."""
    points = lattice.sites("bcc", 2.8665, 8.0)
    kind = order.common_neighbours(points, 1.2071 * 2.8665)
    assert kind[np.argmin(np.linalg.norm(points, axis=1))] == "bcc"


@pytest.mark.parametrize(
    "system, q4, q6, w4, w6",
    [("fcc", 0.19094, 0.57452, -0.15932, -0.01316), ("hcp", 0.09722, 0.48476, 0.13410, -0.01244)],
)
def test_bond_order_of_perfect_crystals(system, q4, q6, w4, w6):
    """Would catch a wrong normalisation or 3j symbol: the published values of Steinhardt's invariants."""
    xyz = lattice.sites(system, A if system == "fcc" else A / np.sqrt(2), 11.0)
    xyz = shuffled(xyz * 2 / A, A, 7)
    middle = np.argmin(np.linalg.norm(xyz - xyz.mean(0), axis=1))
    found4, found6 = order.bond_order(xyz, CUT, 4), order.bond_order(xyz, CUT, 6)
    assert [found4[0][middle], found6[0][middle], found4[1][middle], found6[1][middle]] == pytest.approx(
        [q4, q6, w4, w6], abs=2e-5
    )
    assert found6[4][middle] == 1


def test_companion_papers_numbers(measured):
    """Would catch another definition than the published: 19.688 A and 2 disordered atoms of the measured model."""
    xyz = measured("kang2025_stage1")
    assert (6 * surface.hull_volume(xyz) / np.pi) ** (1 / 3) == pytest.approx(19.688, abs=1e-3)
    assert (order.bond_order(xyz, 3.41, 6)[4] <= 0.5).sum() == 2


def test_lone_atoms():
    """Would catch a division by no neighbours."""
    xyz = np.array([[0.0, 0, 0], [50, 0, 0]])
    assert np.isnan(order.bond_order(xyz, CUT, 6)[0]).all()
    assert list(order.common_neighbours(xyz, CUT)) == ["other", "other"]
