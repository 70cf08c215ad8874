"""Atoms are held along a direction hardly seen by how they scatter across it; their bars are then their errors."""

import numpy as np
import pytest

from perrin.files.elements import element
from perrin.imaging.lattice import sites
from perrin.rounds.scatter import toward_lattice

PT = element("Pt")
ALONG = np.array([0.6, 0.48, 0.64])
STRAIN = {"direction": ALONG.tolist(), "held": 0.9}
OWN_A, BAR_A = 0.06, 0.08  # displacements an axis, error bars along


def displaced(error_A, seed=1):
    """True atoms with displacements of their own; the same with errors along; the covariances that theory has."""
    rng = np.random.default_rng(seed)
    true = sites("fcc", PT.lattice_A, 10.0, (0.4, 0.3, 0.2))
    true = true + rng.normal(0, OWN_A, true.shape)
    covariance = 0.01**2 * np.eye(3) + BAR_A**2 * np.outer(ALONG, ALONG)
    return (
        true,
        true + np.outer(rng.normal(0, error_A, len(true)), ALONG),
        np.tile(covariance, (len(true), 1, 1)),
    )


def depth(xyz, true):
    """Errors along the direction, without those of the body's place."""
    off = (xyz - true) @ ALONG
    return off - off.mean()


@pytest.mark.parametrize("error_A", [0.08, 0.15, 0.3])
def test_errors_become_those_of_the_posterior(error_A):
    """Would catch a variance taken for a deviation, and own displacements taken for errors: 0.3 A become 0.06."""
    true, xyz, covariance = displaced(error_A)
    held, bars, found = toward_lattice(xyz, covariance, STRAIN, PT)
    expected = OWN_A * error_A / np.hypot(OWN_A, error_A)
    assert np.std(depth(held, true)) == pytest.approx(expected, rel=0.12)
    across = np.eye(3) - np.outer(ALONG, ALONG)
    np.testing.assert_allclose(held @ across, xyz @ across, atol=1e-9)
    pull = depth(held, true) / np.sqrt(np.einsum("i,nij,j->n", ALONG, bars, ALONG))
    assert np.sqrt(np.square(pull).mean()) == pytest.approx(1, abs=0.12)
    assert found["across_A"] == pytest.approx(OWN_A, rel=0.1)
    lacking = np.sqrt(max(error_A**2 - BAR_A**2, 0))
    assert found["lacking_A"] == pytest.approx(lacking, rel=0.12, abs=1e-9)
    assert found["held"] == pytest.approx(error_A**2 / (error_A**2 + OWN_A**2), rel=0.12)


def test_bars_that_hold_their_errors_stay():
    """Would catch a limit that chance passes: ten thousand atoms' worth of trials."""
    assert all(
        toward_lattice(*displaced(BAR_A, seed)[1:], STRAIN, PT)[2]["lacking_A"] == 0 for seed in range(40)
    )


def test_an_atom_far_from_its_site_is_left_there():
    """Would catch an adatom beside a hollow, or a wrong site, drawn onto the lattice."""
    _, xyz, covariance = displaced(0.05)
    xyz[7] += 0.9 * ALONG
    held, _, _ = toward_lattice(xyz, covariance, STRAIN, PT)
    np.testing.assert_array_equal(held[7], xyz[7])


def test_a_twin_is_not_drawn_onto_one_lattice():
    """Would catch sites given to the atoms of another domain because they need only be found across the direction."""
    _, xyz, covariance = displaced(0.05)
    normal = np.ones(3) / np.sqrt(3)
    height = xyz @ normal
    beyond = height > 1.5
    twin = xyz.copy()
    turned = 2 * np.outer(height, normal) - xyz  # by half a turn about the normal
    twin[beyond] = turned[beyond]
    held, _, found = toward_lattice(twin, covariance, STRAIN, PT)
    moved = np.linalg.norm(held - twin, axis=1)
    assert found is not None and np.median(moved[~beyond]) > 0.01
    assert np.median(moved[beyond]) == 0  # what happens to lie on the lattice moves
    assert moved[beyond].max() < 0.6


def test_wide_views_and_atoms_on_no_lattice_are_not_asked():
    """Would catch strain of a particle that was seen from all sides taken for an error."""
    _, xyz, covariance = displaced(0.2)
    rng = np.random.default_rng(3)
    for atoms, strain in [
        (xyz, STRAIN | {"held": 0.3}),
        (xyz, None),
        (rng.uniform(-9, 9, xyz.shape), STRAIN),
    ]:
        held, bars, found = toward_lattice(atoms, covariance, strain, PT)
        assert found is None
        assert held is atoms and bars is covariance
