"""Distances of the metals: the shells of a real lattice as oracle."""

import numpy as np
import pytest

from perrin.atoms.metals import contact_distance, nearest_distance, theoretical_radius
from perrin.files.elements import element
from perrin.imaging import lattice


@pytest.mark.parametrize("symbol", ["Pt", "Fe", "Co"])
def test_contacts_end_between_the_first_two_shells(symbol):
    """Would catch a formula of another lattice: the cut-off lies midway between two measured shells."""
    metal = element(symbol)
    points = lattice.sites(metal.system, metal.lattice_A, 4 * metal.lattice_A)
    away = np.linalg.norm(points - points[np.argmin(np.linalg.norm(points, axis=1))], axis=1)
    shells = np.unique(away.round(6))[1:3]
    assert nearest_distance(symbol) == pytest.approx(shells[0], abs=1e-5)
    assert contact_distance(symbol) == pytest.approx(shells.mean(), abs=1e-5)
    assert contact_distance(symbol, 5.0) == pytest.approx(contact_distance(symbol) * 5 / metal.lattice_A)
    assert theoretical_radius(symbol) == pytest.approx(shells[0] / 2, abs=0.03)
