"""Penetration depth and crystallinity: what is known of perfect, noisy and damaged particles."""

import numpy as np
import pytest
from clusters import octahedron, shuffled, sphere
from scipy.spatial.distance import pdist

from perrin.imaging import lattice
from perrin.states import coordination, crystallinity, depth_profile, surface
from perrin.states.lattice_fit import fit_lattice

A = 3.912
CUT = 3.339
NEAREST = A / np.sqrt(2)


def depth_of(xyz):
    cn = coordination.coordination_numbers(xyz, CUT)
    return depth_profile.plateau_depth(surface.depths(xyz, NEAREST), cn)


def test_depth_below_flat_facets():
    """Would catch distances to atoms instead of to facets: layers of an octahedron lie a/sqrt(3) apart."""
    points = octahedron(9)
    depth = surface.depths(points * A / 2, NEAREST)
    layer = 8 - np.abs(points).sum(1)
    assert np.allclose(depth, layer / 2 * A / np.sqrt(3), atol=1e-5)


def test_vacancy_inside_is_no_surface():
    """Would catch an inner hole taken for the outside: one vacancy leaves all depths as they were."""
    points = sphere(27)
    whole = surface.depths(points * A / 2, NEAREST)
    middle = np.flatnonzero(~points.any(1))[0]
    without = surface.depths(np.delete(points, middle, 0) * A / 2, NEAREST)
    assert np.allclose(np.delete(whole, middle), without, atol=1e-5)


def test_adatom_lifts_the_surface_only_near():
    """Would catch a convex hull: an adatom far above a facet hides no other atom."""
    points = octahedron(9)
    apex = points[np.abs(points).sum(1) == 8]
    base = apex[np.argmin(np.abs(apex - [3, 3, 2]).sum(1))]
    xyz = np.r_[points, [base + [1, 1, 0]]] * A / 2
    depth = surface.depths(xyz, NEAREST)
    assert depth[-1] == 0
    before = surface.depths(points * A / 2, NEAREST)
    assert (np.abs(depth[:-1] - before) > 1e-5).sum() < 30
    assert np.isclose(depth[:-1], 0).sum() >= np.isclose(before, 0).sum() - 3


def test_perfect_crystals_have_one_depth():
    """Would catch a depth that knows size or shape: 5-7 A for an octahedron by spherical distance, here as
    a sphere's.
    """
    depths = [
        depth_of(shuffled(points, A, 1))
        for points in (sphere(20), sphere(27), sphere(44), octahedron(9), octahedron(10, 3))
    ]
    assert max(depths) - min(depths) < 0.25
    assert 1.5 < np.mean(depths) < 2.1


def test_disordered_surface_is_deeper():
    """Would catch a depth blind to what it is for: thinning the outer shells takes the plateau further in."""
    rng = np.random.default_rng(1)
    points = sphere(60)
    r = np.linalg.norm(points, axis=1)
    rough = points[~((r > 5.6) & (rng.random(len(points)) < 0.35))]
    assert depth_of(rough * A / 2) > depth_of(points * A / 2) + 0.3


def test_step_and_logistic_of_known_profile():
    """Would catch radii mistaken for depths: a step at 7 A below a surface of 10 A is 3 A deep."""
    r = np.linspace(0.1, 9.9, 400)
    cn = np.where(r < 7, 12.0, 7.0)
    assert depth_profile.step_depth(r, cn, 10.0) == pytest.approx(3.0, abs=0.02)
    smooth = 7 + 5 / (1 + np.exp((r - 7) / 0.5))
    assert depth_profile.logistic_depth(r, smooth, 10.0) == pytest.approx((3.0, 0.5), abs=1e-3)
    assert depth_profile.exponential_depth(r, 12 - 5 * np.exp(-r / 1.7)) == pytest.approx(1.7, abs=1e-3)
    assert depth_profile.first_depth(r, cn, 10.0) == pytest.approx(3.0, abs=0.03)


@pytest.mark.parametrize("square, a, b", [(20, 2.27, 1.41), (27, 1.45, 0.65), (44, 1.74, 0.98)])
def test_radial_variants_of_the_table(square, a, b):
    """Would catch another two-level fit than least squares: values from the radius of the furthest atom."""
    xyz = sphere(square) * A / 2
    r = np.linalg.norm(xyz, axis=1)
    cn = coordination.coordination_numbers(xyz, CUT)
    assert depth_profile.step_depth(r, cn, r.max()) == pytest.approx(a, abs=0.02)
    assert depth_profile.logistic_depth(r, cn, r.max())[0] == pytest.approx(b, abs=0.02)


def test_kolmogorov_series():
    """Would catch a sign or a stop of the series: known values of Q."""
    for lam, q in [(0.5, 0.963945), (0.8, 0.544142), (1.0, 0.270000), (1.36, 0.049486), (2.0, 0.000671)]:
        n = 1e12  # the correction vanishes
        assert crystallinity.kolmogorov(lam / np.sqrt(n / 2), n, n) == pytest.approx(q, abs=2e-6)
    p = crystallinity.kolmogorov(0.0395, 51360, 51360)
    assert 1e-36 < p < 1e-30
    levels = [crystallinity.kolmogorov(k / 37, 37, 37) for k in range(1, 11)]
    assert levels == pytest.approx([1, 1, 0.999, 0.975, 0.863, 0.676, 0.479, 0.314, 0.193, 0.111], abs=6e-4)


def test_all_pairs_are_degenerate():
    """Would catch rounding that decides: the ideal sphere gives 1, noise of 0.02 A practically 0."""
    xyz = sphere(27) * A / 2
    assert crystallinity.ks_all_pairs(xyz, "fcc", A) == (1.0, 0.0)
    noisy = xyz + np.random.default_rng(0).normal(0, 0.02, xyz.shape)
    assert crystallinity.ks_all_pairs(noisy, "fcc", A)[0] < 1e-20


def test_shell_populations_as_the_authors(measured):
    """Would catch other bins or another test: the range published for the measured models, the octahedron's 0.174."""
    mean, low, high = crystallinity.ks_shell_populations(measured("kang2025_stage1"), "fcc", A)
    assert (low, high) == pytest.approx((0.50, 0.55), abs=0.006)
    assert low < mean < high
    _, low, high = crystallinity.ks_shell_populations(measured("kang2025_stage2"), "fcc", A)
    assert (low, high) == pytest.approx((0.33, 0.53), abs=0.006)
    assert crystallinity.ks_shell_populations(octahedron(9) * A / 2, "fcc", A)[2] == pytest.approx(
        0.174, abs=6e-4
    )
    xyz = sphere(27) * A / 2
    distance, number = crystallinity.lattice_distances(xyz, "fcc", A)
    first, second = crystallinity.shell_percentages(crystallinity.pair_counts(xyz), distance, number)
    assert len(first) == 37
    assert np.allclose(first, second)


@pytest.mark.parametrize("system, a", [("fcc", A), ("bcc", 2.8665), ("hcp", 2.5071)])
def test_pairs_are_counted_as_one_by_one(system, a):
    """Would catch a pair lost between pieces, a site off the grid, or lags that wrap around: all distances, by hand."""
    xyz = lattice.sites(system, a, 9.0, [0.3, 0.1, 0.2])
    every = pdist(xyz)
    value, count = np.unique(every.round(7), return_counts=True)
    distance, number = crystallinity.lattice_distances(xyz, system, a)
    assert np.allclose(distance, value, atol=2e-7) and (number == count).all()
    moved = xyz + np.random.default_rng(0).normal(0, 0.2, xyz.shape)
    steps = np.rint(pdist(moved) / crystallinity.STEP_A).astype(int)
    found = crystallinity.pair_counts(moved, at_once=5 * len(moved))
    assert (found == np.bincount(steps, minlength=len(found))).all()


def test_long_particles_get_no_pair_scores():
    """Would catch a ball as wide as a rod is long, whose millions of atoms fill the memory."""
    rod = lattice.sites("fcc", A, 5.0)
    rod = np.concatenate([rod + [0, 0, 12 * A * k] for k in range(8)])
    assert np.isnan(crystallinity.pair_scores(rod, "fcc", A)).all()


def score(xyz):
    return crystallinity.coherence(xyz, fit_lattice(xyz, "fcc", A))[0]


def test_coherence_is_one_for_perfect_crystals_of_any_size_and_strain():
    """Would catch a score that knows size, shape or lattice constant."""
    for points, scale in [(sphere(10), 1.0), (sphere(27), 1.02), (octahedron(8), 0.98), (sphere(60), 1.0)]:
        assert score(shuffled(points, scale * A, 2)) == pytest.approx(1, abs=1e-9)


def test_coherence_ranks_disorder():
    """Would catch a score that is not monotonic in noise, vacancies or an amorphous shell, or that depends on size."""
    rng = np.random.default_rng(4)
    points = sphere(27) * A / 2
    unit = rng.normal(size=points.shape)
    by_noise = [score(points + sigma * unit) for sigma in (0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)]
    assert (np.diff(by_noise) < -0.01).all()
    order = rng.permutation(np.flatnonzero((sphere(27) ** 2).sum(1) <= 16))
    by_holes = [score(np.delete(points, order[:k], 0)) for k in (0, 3, 8, 15)]
    assert (np.diff(by_holes) < -0.005).all()
    r = np.linalg.norm(points, axis=1)
    by_shell = [score(points + unit * 0.9 * (r > limit)[:, None]) for limit in (99, 9.5, 8.5, 7.5)]
    assert (np.diff(by_shell) < -0.05).all()
    sizes = [
        np.mean([score(p * A / 2 + rng.normal(0, 0.15, p.shape)) for _ in range(3)])
        for p in (sphere(12), sphere(27), sphere(50))
    ]
    assert max(sizes) - min(sizes) < 0.1 * max(sizes)


def test_coherence_of_random_points_is_low():
    """Would catch a floor as the authors' score has: points without order score near 0."""
    rng = np.random.default_rng(0)
    cloud = [np.zeros(3)]
    for point in rng.uniform(-9.5, 9.5, (4000, 3)):
        if np.linalg.norm(point) < 9.5 and np.linalg.norm(cloud - point, axis=1).min() > 2.0:
            cloud.append(point)
    assert score(np.array(cloud)) < 0.15
