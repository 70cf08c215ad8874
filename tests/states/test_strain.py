"""Strain: the default reads known fields exactly, and its errors cover; the published forms read what is
known of them.
"""

import numpy as np
import pytest
from clusters import shuffled, sphere

from perrin.imaging import lattice
from perrin.states import strain
from perrin.states.lattice_fit import fit_lattice

A0 = 3.912


def ball(radius_A):
    """Sphere about an atom."""
    return lattice.sites("fcc", A0, radius_A)


@pytest.mark.parametrize("radius", [8.0, 10.5, 13.0])
def test_uniform_strain_is_read_exactly(radius):
    """Would catch any loss at the surface: 1 % reads 1.000 % for every atom, at every size."""
    xyz = shuffled(ball(radius) * 2 / A0, 1.01 * A0, 1)
    found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0))
    assert np.allclose(100 * found.radial, 1, atol=1e-8)
    assert 100 * found.mean_radial == pytest.approx(1, abs=1e-8)
    assert np.allclose(found.shear, 0, atol=1e-10)
    assert np.allclose(100 * found.tensor, np.eye(3), atol=1e-8)


def test_tensor_field():
    """Would catch components exchanged or shears halved: a known tensor, and a rotation that must not count."""
    wanted = np.array([[0.01, 0.004, -0.002], [0.004, -0.005, 0.003], [-0.002, 0.003, 0.002]])
    xyz = ball(10.5) @ (np.eye(3) + wanted).T
    found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0))
    assert np.allclose(found.tensor, wanted, atol=1e-9)
    turned = shuffled(ball(10.5) * 2 / A0, A0, 3)
    assert np.allclose(strain.local_strain(turned, fit_lattice(turned, "fcc", A0)).tensor, 0, atol=1e-10)


def test_linear_gradient_of_strain():
    """Would catch a field smeared flat or shifted: u_x = c x^2 gives e_xx = 2 c x, exact inside by symmetry."""
    points = ball(13)
    xyz = points + np.c_[0.001 * points[:, 0] ** 2, np.zeros((len(points), 2))]
    found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0), width_A=1.5)
    inner = np.linalg.norm(points, axis=1) < 8
    slope, offset = np.polyfit(points[inner, 0], found.tensor[inner, 0, 0], 1)
    assert slope == pytest.approx(0.002, rel=0.02)
    assert offset == pytest.approx(0, abs=1e-4)


def test_radial_gradient_inside():
    """Would catch weights so wide that a gradient is flattened: 0.2 % per angstrom is followed inside the particle."""
    points = ball(13)
    r = np.linalg.norm(points, axis=1)
    xyz = points * (1 + 0.001 * r)[:, None]
    found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0), width_A=2.0)
    inner = (r > 2) & (r < 8.5)
    assert np.abs(found.radial - 0.002 * r)[inner].max() < 0.0015
    assert abs((found.radial - 0.002 * r)[inner].mean()) < 0.0005


def test_noise_is_no_strain_and_errors_cover():
    """Would catch noise read as expansion, and standard errors off by a factor."""
    rng = np.random.default_rng(3)
    points = ball(9)
    covariance = np.tile(np.diag([0.12, 0.08, 0.1]) ** 2, (len(points), 1, 1))
    means, z_mean, z_atom = [], [], []
    for _ in range(25):
        xyz = points + rng.normal(size=points.shape) * [0.12, 0.08, 0.1]
        found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0), covariance, width_A=2.5)
        means.append(100 * found.mean_radial)
        z_mean.append(found.mean_radial / found.mean_radial_sigma)
        z_atom.append(np.nanstd(found.radial / found.radial_sigma))
    assert abs(np.mean(means)) < 0.1
    assert 0.65 < np.std(z_mean) < 1.4
    assert 0.85 < np.mean(z_atom) < 1.15


@pytest.mark.parametrize(
    "radius, mean, sd, largest, trace",
    [(8, 0.434, 0.109, 0.590, 0.993), (10.5, 0.549, 0.163, 0.793, 0.993), (13, 0.631, 0.193, 0.888, 1.013)],
)
def test_authors_program_on_uniform_strain(radius, mean, sd, largest, trace):
    """Would catch another step, surface rule or origin than the program's: its readings of 1 % are known."""
    tensor, radial = strain.authors(1.01 * ball(radius), 1.01 * A0, A0)
    assert 100 * radial.mean() == pytest.approx(mean, abs=6e-4)
    assert 100 * radial.std(ddof=1) == pytest.approx(sd, abs=6e-4)
    assert 100 * radial.max() == pytest.approx(largest, abs=6e-4)
    assert 100 * np.trace(tensor, axis1=1, axis2=2).mean() / 3 == pytest.approx(trace, abs=6e-4)


def test_published_is_the_limit_of_small_steps():
    """Would catch a wrong derivative: the analytic radial slope equals finite differences of the same field."""
    xyz = 1.01 * ball(8)
    fit = fit_lattice(xyz, "fcc", A0)
    _, radial = strain.published(xyz, fit)
    displacement = (np.linalg.norm(xyz, axis=1) - np.linalg.norm(xyz / 1.01, axis=1))[:, None]
    along = xyz / np.maximum(np.linalg.norm(xyz, axis=1), 1e-9)[:, None]
    high = strain._kernel_mean(xyz, displacement, xyz + 1e-4 * along, 2.0)
    low = strain._kernel_mean(xyz, displacement, xyz - 1e-4 * along, 2.0)
    outside = np.linalg.norm(xyz, axis=1) > 1
    assert np.allclose(radial[outside], ((high - low) / 2e-4)[outside, 0], atol=1e-7)
    assert 100 * radial.mean() < 0.5  # half of the true 1 %


def test_authors_program_on_a_measured_model(measured):
    """Would catch a difference that symmetric clusters hide."""
    xyz = measured("kang2025_stage1")
    radial = 100 * strain.authors(xyz, fit_lattice(xyz, "fcc", A0).length_A, A0)[1]
    assert [radial.mean(), radial.std(ddof=1), radial.min(), radial.max()] == pytest.approx(
        [1.35, 0.84, -0.6, 5.0], abs=0.03
    )


def test_no_lattice_no_strain():
    """Would catch strains invented for a particle that is no single crystal."""
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-8, 8, (150, 3))
    found = strain.local_strain(xyz, fit_lattice(xyz, "fcc", A0))
    assert np.isnan(found.radial).all()
    assert np.isnan(found.mean_radial)


def test_square_number():
    """Would catch a cluster of this file that is not the one of the tables."""
    assert len(ball(10.5)) == len(sphere(27)) == 321
