"""Coordination numbers against closed forms and tables of perfect clusters."""

import numpy as np
import pytest
from clusters import STEPS, octahedron, shuffled, sphere

from perrin.imaging import lattice
from perrin.states import coordination, neighbours

A = 3.912
CUT = 0.8535533905932737 * A
TABLE = [
    (octahedron(3, 1), "5:12 12:1", 3.3846, 2.8462),
    (octahedron(5, 2), "5:12 7:24 8:6 12:13", 5.6545, 5.6545),
    (octahedron(9, 4), "5:12 7:72 8:54 9:24 12:147", 8.1974, 8.1974),
    (octahedron(5), "4:6 7:36 9:24 12:19", 6.5294, 6.4118),
    (octahedron(8), "4:6 7:72 9:120 12:146", 8.3547, 8.3256),
    (octahedron(7, 2), "6:24 7:36 8:6 9:56 12:79", 7.8458, 7.8458),
    (octahedron(10, 3), "6:24 7:72 8:24 9:152 12:314", 9.0239, 9.0239),
    (sphere(27), "6:72 7:24 9:48 10:24 11:12 12:141", 8.2586, 8.2586),
    (sphere(18), "5:36 8:54 9:8 11:24 12:55", None, None),
]


@pytest.mark.parametrize("points, histogram, authors, bulk", TABLE)
def test_perfect_clusters(points, histogram, authors, bulk):
    """Would catch a wrong cut-off, a pair counted twice or an atom counted as its own neighbour."""
    xyz = shuffled(points, A, len(points))
    found = coordination.coordination_numbers(xyz, coordination.cutoff(xyz, "fcc", A))
    assert " ".join(f"{k}:{v}" for k, v in coordination.histogram(found).items()) == histogram
    if authors:
        assert coordination.generalised(xyz, CUT, variant="authors").mean() == pytest.approx(
            authors, abs=5e-5
        )
        assert coordination.generalised(xyz, CUT).mean() == pytest.approx(bulk, abs=5e-5)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_cuboctahedra_by_closed_forms(k):
    """Would catch an error that a table of a few clusters hides: every shell number of the closed forms."""
    xyz = octahedron(2 * k + 1, k) * A / 2
    core = (10 * (k - 1) ** 3 + 15 * (k - 1) ** 2 + 11 * (k - 1) + 3) // 3
    want = {5: 12, 7: 24 * (k - 1), 8: 6 * (k - 1) ** 2, 9: 4 * (k - 1) * (k - 2), 12: core}
    found = coordination.histogram(coordination.coordination_numbers(xyz, CUT))
    assert found == {number: count for number, count in want.items() if count}


def test_brute_force_on_lattice():
    """Would catch a neighbour search that fails at the edge of its tree: counts by integer steps."""
    points = sphere(40)
    have = {tuple(p) for p in points.tolist()}
    brute = [sum(tuple(p) in have for p in (point + STEPS).tolist()) for point in points]
    assert coordination.coordination_numbers(points * A / 2, CUT).tolist() == brute


@pytest.mark.parametrize("system, a, number", [("fcc", 3.912, 12), ("bcc", 2.856, 8), ("hcp", 2.766, 12)])
def test_bulk_coordination(system, a, number):
    """Would catch the fcc formula used for another lattice: bcc would count 0 or 14."""
    xyz = lattice.sites(system, a, 4.5 * a)
    middle = np.argmin(np.linalg.norm(xyz - xyz.mean(0), axis=1))
    cut = coordination.cutoff(xyz, system, a)
    assert coordination.coordination_numbers(xyz, cut)[middle] == number
    rdf = coordination.cutoff(xyz, system, a, mode="rdf")
    assert lattice.nearest_distance(system, a) < rdf < neighbours.SECOND_SHELL[system] * a


def test_expected_coordination_matches_repetition():
    """Would catch errors of both atoms not added, or taken across the bond instead of along it."""
    rng = np.random.default_rng(1)
    xyz = sphere(14) * A / 2
    root = rng.normal(0, 0.1, (len(xyz), 3, 3))
    covariance = root @ root.transpose(0, 2, 1)
    mean, sigma = coordination.expected(xyz, covariance, CUT)
    draws = np.array(
        [
            coordination.coordination_numbers(
                xyz + np.einsum("nij,nj->ni", root, rng.normal(size=xyz.shape)), CUT
            )
            for _ in range(1500)
        ]
    )
    assert np.abs(mean - draws.mean(0)).max() < 0.12
    assert abs((mean - draws.mean(0)).mean()) < 0.03
    assert 0.85 < (sigma / np.maximum(draws.std(0), 1e-9)).mean() < 1.15


def test_no_errors_no_spread():
    """Would catch a division by a zero sigma: exact positions give the plain number, unknown ones none."""
    xyz = sphere(10) * A / 2
    mean, sigma = coordination.expected(xyz, np.zeros((len(xyz), 3, 3)), CUT)
    assert np.array_equal(mean, coordination.coordination_numbers(xyz, CUT))
    assert not sigma.any()
    assert np.isnan(coordination.expected(xyz, np.full((len(xyz), 3, 3), np.nan), CUT)[0]).all()


def test_measured_models(measured):
    """Would catch a boundary counted the other way in real, not symmetric, positions."""
    cn = coordination.coordination_numbers(measured("kang2025_stage1"), 3.339)
    assert coordination.histogram(cn) == {
        3: 1,
        4: 4,
        5: 13,
        6: 38,
        7: 32,
        8: 28,
        9: 21,
        10: 25,
        11: 23,
        12: 129,
    }
    assert 100 * coordination.fraction_above(cn) == pytest.approx(63.06, abs=0.005)
    cn = coordination.coordination_numbers(measured("kang2025_stage2"), 3.339)
    assert cn.mean() == pytest.approx(9.2576, abs=5e-5)


def test_first_peak_of_the_radial_distribution_holds_the_neighbours():
    """Would catch pairs counted once, or a g(r) that is no ratio: the first peak's area is the mean coordination."""
    xyz, volume = sphere(27) * A / 2, A**3 / 4
    r, g = neighbours.radial_distribution(xyz, volume, width_A=0.06)
    shell = r < CUT
    area = (4 * np.pi * r**2 * g / volume)[shell].sum() * (r[1] - r[0])
    assert area == pytest.approx(coordination.coordination_numbers(xyz, CUT).mean(), rel=0.005)


def test_fraction_variants():
    """Would catch the variants exchanged: the authors leave out numbers of a single atom, and those outside 3 to 13."""
    cn = [2, 2, 5, 5, 9, 9, 9, 12, 14, 14]
    assert coordination.fraction_above(cn) == 0.6
    assert coordination.fraction_above(cn, variant="authors") == 0.6
    assert coordination.fraction_above([5, 5, 9, 12, 12, 12, 12, 14]) == 0.75
    assert coordination.fraction_above([5, 5, 9, 12, 12, 12, 12, 14], variant="authors") == pytest.approx(
        4 / 6
    )
