"""The fitted lattice: exact for perfect and strained crystals in any orientation, refused for others."""

import numpy as np
import pytest
from clusters import octahedron, shuffled, sphere

from perrin.imaging import lattice
from perrin.states.lattice_fit import fit_lattice, lattice_sites
from perrin.states.vacancies import vacancies

A0 = 3.9242


@pytest.mark.parametrize("points", [sphere(27), octahedron(8), octahedron(7, 2)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_orientation(points, seed):
    """Would catch a basis fixed along the box: the constant is exact and scales 1:1 in every orientation."""
    scale = 1 + 0.01 * seed
    xyz = shuffled(points, A0 * scale, seed)
    fit = fit_lattice(xyz, "fcc", A0)
    assert fit.fits
    assert fit.on_lattice.all()
    assert fit.a_A == pytest.approx(A0 * scale, rel=1e-9)
    assert np.allclose(fit.length_A, A0 * scale, rtol=1e-9)
    assert np.allclose(fit.angle_deg, 90, atol=1e-6)
    assert np.allclose(lattice_sites(fit, fit.site), xyz, atol=1e-8)


def test_parity_is_enforced():
    """Would catch sites of a simple cubic lattice: in fcc the half-steps of every site add up to an even number."""
    fit = fit_lattice(shuffled(sphere(22), A0, 4), "fcc", A0)
    assert not (np.rint(2 * fit.site).sum(1) % 2).any()


def test_deformed_crystal():
    """Would catch axes or angles mixed up: a known stretch and shear come back, in the crystal's own axes."""
    stretch = np.array([[1.02, 0.01, 0], [0.01, 0.99, 0.005], [0, 0.005, 1.005]])
    xyz = sphere(27) * A0 / 2 @ stretch.T
    fit = fit_lattice(xyz, "fcc", A0)
    assert np.allclose(fit.stretch, stretch, atol=1e-9)
    assert np.allclose(fit.rotation, np.eye(3), atol=1e-9)
    assert fit.a_A == pytest.approx(A0 * np.cbrt(np.linalg.det(stretch)), rel=1e-9)


def test_standard_error_covers():
    """Would catch errors off by a factor: the constant of noisy crystals scatters by its standard error."""
    rng = np.random.default_rng(5)
    points = sphere(18) * A0 / 2
    z = []
    for _ in range(25):
        fit = fit_lattice(points + rng.normal(0, 0.08, points.shape), "fcc", A0)
        z.append((fit.a_A - A0) / fit.a_sigma_A)
    assert 0.7 < np.std(z) < 1.4
    assert abs(np.mean(z)) < 0.6


@pytest.mark.parametrize("system, a", [("bcc", 2.8665), ("hcp", 2.5071)])
def test_other_lattices(system, a):
    """Would catch fcc assumed: iron and an ideal hcp crystal are found in any orientation."""
    points = lattice.sites(system, a, 8.5)
    fit = fit_lattice(shuffled(2 * points / a, a, 3), system, a)
    assert fit.fits
    assert fit.share == 1
    assert fit.a_A == pytest.approx(a, rel=1e-9)


def test_multiply_twinned_particles_are_refused():
    """Would catch a silently wrong lattice: icosahedra and decahedra are not one crystal."""
    cluster = pytest.importorskip("ase.cluster")
    for xyz in (
        cluster.Icosahedron("Pt", 5, A0).positions,
        cluster.Decahedron("Pt", 3, 3, 2, A0).positions,
    ):
        fit = fit_lattice(xyz, "fcc", A0)
        assert fit.status == "does not fit"
        assert "lattice" in fit.why


def test_outliers_do_not_move_the_lattice():
    """Would catch plain least squares: ten atoms put at random leave a perfect lattice where it is."""
    rng = np.random.default_rng(2)
    xyz = sphere(27) * A0 / 2
    wrong = rng.choice(len(xyz), 10, replace=False)
    xyz[wrong] += rng.normal(0, 0.8, (10, 3))
    fit = fit_lattice(xyz, "fcc", A0)
    assert fit.fits
    assert fit.a_A == pytest.approx(A0, rel=2e-3)


@pytest.mark.parametrize("n", [0, 1, 2, 12])
def test_too_few(n):
    """Would catch a crash on a particle that has dissolved."""
    assert fit_lattice(np.random.default_rng(0).uniform(0, 9, (n, 3)), "fcc", A0).status == "too few atoms"


def test_vacancies_are_found():
    """Would catch a vacancy taken for surface: two atoms taken from inside are the two empty sites."""
    points = sphere(27)
    inside = np.flatnonzero((points**2).sum(1) <= 4)[[0, 5]]
    xyz = np.delete(points, inside, axis=0) * A0 / 2
    fit = fit_lattice(xyz, "fcc", A0)
    found = lattice_sites(fit, vacancies(xyz, fit))
    want = points[inside] * A0 / 2
    assert len(found) == 2
    assert np.abs(found[:, None] - want).max(2).min(1).max() < 1e-6


@pytest.mark.parametrize("system, a", [("fcc", A0), ("bcc", 2.8665), ("hcp", 2.5071)])
@pytest.mark.parametrize("radius_A", [7.0, 9.5, 13.0])
def test_perfect_balls_have_no_vacancies(system, a, radius_A):
    """Would catch a second shell counted as the first, which makes places at a bcc surface vacancies."""
    for centre in np.random.default_rng(1).uniform(-a, a, (3, 3)):
        xyz = lattice.sites(system, a, radius_A, centre)
        fit = fit_lattice(xyz, system, a)
        assert len(vacancies(xyz, fit)) == 0
        inside = np.argmin(np.linalg.norm(xyz - centre, axis=1))
        less = np.delete(xyz, inside, axis=0)
        assert len(vacancies(less, fit_lattice(less, system, a))) == 1


def test_measured_model(measured):
    """Would catch a fit that is exact on ideal clusters only: constants published for the measured model."""
    fit = fit_lattice(measured("kang2025_stage1"), "fcc", 3.912)
    assert np.allclose(fit.length_A, [3.986, 3.984, 3.990], atol=6e-4)
    assert fit.rms_A == pytest.approx(0.146, abs=6e-4)
