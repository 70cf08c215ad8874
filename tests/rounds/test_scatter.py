"""What error bars lack along the line of sight is told by the lattice; what they hold already is not told again."""

import numpy as np
import pytest

from perrin.files.elements import element
from perrin.imaging.lattice import sites
from perrin.rounds.scatter import scatter_beyond, scatter_covariance

PT = element("Pt")
ALONG = np.array([0.6, 0.48, 0.64])
STRAIN = {"direction": ALONG.tolist(), "held": 0.9}
OWN_A, BAR_A = 0.06, 0.08  # displacements an axis, error bars along


def displaced(error_A, seed=1):
    """Atoms with displacements of their own and errors along, and the covariances that theory has."""
    rng = np.random.default_rng(seed)
    xyz = sites("fcc", PT.lattice_A, 10.0, (0.4, 0.3, 0.2))
    xyz = xyz + rng.normal(0, OWN_A, xyz.shape) + np.outer(rng.normal(0, error_A, len(xyz)), ALONG)
    covariance = 0.01**2 * np.eye(3) + BAR_A**2 * np.outer(ALONG, ALONG)
    return xyz, np.tile(covariance, (len(xyz), 1, 1))


@pytest.mark.parametrize("error_A", [0.15, 0.2])
def test_bars_are_told_what_they_lack(error_A):
    """Would catch a variance taken for a deviation, and displacements of the atoms' own taken for errors."""
    xyz, covariance = displaced(error_A)
    found = scatter_beyond(xyz, covariance, STRAIN, PT)
    lacking = np.sqrt(error_A**2 - BAR_A**2)
    assert found["lacking_A"] == pytest.approx(lacking, rel=0.12)
    assert found["across_A"] == pytest.approx(OWN_A, rel=0.1)
    added = scatter_covariance(STRAIN, found)
    assert ALONG @ added @ ALONG == pytest.approx(found["lacking_A"] ** 2)
    assert np.trace(added) == pytest.approx(found["lacking_A"] ** 2)


def test_bars_that_hold_their_errors_stay():
    """Would catch a limit that chance passes: ten thousand atoms' worth of trials."""
    assert all(scatter_beyond(*displaced(BAR_A, seed), STRAIN, PT)["lacking_A"] == 0 for seed in range(40))


def test_wide_views_and_atoms_on_no_lattice_are_not_asked():
    """Would catch strain of a particle that was seen from all sides taken for an error."""
    xyz, covariance = displaced(0.2)
    assert scatter_beyond(xyz, covariance, STRAIN | {"held": 0.3}, PT) is None
    assert scatter_beyond(xyz, covariance, None, PT) is None
    rng = np.random.default_rng(3)
    assert scatter_beyond(rng.uniform(-9, 9, xyz.shape), covariance, STRAIN, PT) is None
    assert not scatter_covariance(STRAIN, None).any()
