"""Simulated density against closed forms and against gemmi's own density of an atom."""

import gemmi
import numpy as np
import pytest

from perrin.atoms.density import potential, published_b, scale_to, scaled_to, simulate_density
from perrin.files.errors import InputError
from perrin.files.records import Map

PIXEL = 0.358
CENTRE = 24


def test_platinum_has_the_published_height_and_width():
    """Known numbers of the published program's Pt atom at 0.358 A: a wrong constant, unit or exponent shows."""
    b = published_b(PIXEL)
    assert b == pytest.approx(8.2025, abs=1e-4)
    assert potential(0.0, "Pt", b) == pytest.approx(407.16, abs=0.02)
    assert potential(0.458, "Pt", b) / potential(0.0, "Pt", b) == pytest.approx(0.5, abs=2e-3)
    ratio = potential(np.array([1.383, 2.766]), "Pt", b) / potential(0.0, "Pt", b)
    assert [float(f"{x:.1e}") for x in ratio] == [0.013, 1.8e-4]


def test_the_shape_is_gemmis():
    """Another library as oracle: gemmi's density of the same coefficients, for several metals and distances."""
    for symbol in ("Pt", "Au", "Pd", "Cu", "Fe", "W", "Ti"):
        r = np.linspace(0, 3, 13)
        theirs = [gemmi.Element(symbol).c4322.calculate_density_iso(x * x, 8.2) for x in r]
        ours = potential(r, symbol, 8.2)
        assert ours / ours[0] == pytest.approx(np.array(theirs) / theirs[0], rel=1e-5)


def test_each_voxel_holds_the_potential_at_its_centre():
    """x, y, z in the wrong order, an origin half a voxel off or a wrong separable product would differ."""
    xyz = np.array([[1.1, -2.3, 0.7], [-1.9, 0.4, 2.2]])
    got = simulate_density(xyz, "Pt", 48, PIXEL, reach_A=20).data
    axis = (np.arange(48) - CENTRE) * PIXEL
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    grid = np.stack([x, y, z], -1)
    want = sum(potential(np.linalg.norm(grid - p, axis=-1), "Pt", published_b(PIXEL)) for p in xyz)
    assert got == pytest.approx(want, rel=2e-5, abs=1e-4)


def test_the_reach_is_a_sphere_and_cuts_little():
    """The default cut-off loses less than 3e-4 of the height, and lets no cylinder stand out of the sphere."""
    short = simulate_density([[0, 0, 0]], "Pt", 48, PIXEL).data
    whole = simulate_density([[0, 0, 0]], "Pt", 48, PIXEL, reach_A=20).data
    assert np.abs(whole - short).max() < 3e-4 * whole.max()
    z, y, x = np.indices(short.shape) - CENTRE
    outside = z**2 + y**2 + x**2 > 64
    assert not short[outside].any()
    assert (short[~outside] > 0).all()


def test_atoms_add_and_move_with_voxels():
    """Additivity, occupancy as a factor, and a shift by whole voxels; an atom at the rim is cut, not wrapped."""
    a, b = np.array([[0.3, 0.1, -0.2]]), np.array([[1.0, 2.0, 0.5]])
    one = simulate_density(a, "Au", 48, PIXEL).data
    two = simulate_density(b, "Au", 48, PIXEL).data
    both = simulate_density(np.r_[a, b], "Au", 48, PIXEL, occupancy=[1.0, 0.25]).data
    assert both == pytest.approx(one + 0.25 * two, abs=1e-3)
    moved = simulate_density(a + np.array([3, -2, 5]) * PIXEL, "Au", 48, PIXEL).data
    assert moved == pytest.approx(np.roll(one, (5, -2, 3), (0, 1, 2)), abs=1e-3)
    rim = simulate_density([[CENTRE * PIXEL, 0, 0]], "Au", 48, PIXEL).data
    assert rim[:, :, 0].max() == 0
    assert rim[:, :, -1].max() > 0


def test_scaling_finds_a_planted_factor_beside_an_offset():
    """A scale that mistakes the offset of the measured map for atoms would seed rounds too high."""
    simulated = simulate_density([[0, 0, 0], [2, 0, 0]], "Pt", 48, PIXEL)
    measured = Map(0.013 * simulated.data + np.float32(0.7), PIXEL)
    assert scale_to(simulated, measured) == pytest.approx(0.013, rel=1e-4)
    again = scaled_to(simulated, measured)
    assert again.data == pytest.approx(0.013 * simulated.data, rel=1e-4)


def test_what_is_no_element_is_refused():
    """One sentence instead of an empty map."""
    with pytest.raises(InputError, match="Xx"):
        simulate_density([[0, 0, 0]], "Xx", 32, PIXEL)
