"""Distances between the atoms of a metal that finding and judging atoms need."""

import numpy as np

from perrin.files.elements import element as element_data
from perrin.imaging import lattice


def nearest_distance(symbol, lattice_A=None):
    """Distance of nearest neighbours, angstrom; of the bulk where no lattice constant is given."""
    metal = element_data(symbol)
    return float(lattice.nearest_distance(metal.system, lattice_A or metal.lattice_A))


def contact_distance(symbol, lattice_A=None):
    """Midpoint of the first and second shell of neighbours, angstrom.

    fcc a (1 / sqrt 2 + 1) / 2, bcc a (sqrt 3 / 2 + 1) / 2, hcp (ideal axes) a (1 + sqrt 2) / 2
    """
    metal = element_data(symbol)
    a = lattice_A or metal.lattice_A
    second = {"fcc": 1.0, "bcc": 1.0, "hcp": np.sqrt(2.0)}[metal.system] * a
    return float(lattice.nearest_distance(metal.system, a) + second) / 2


def theoretical_radius(symbol, authors=False):
    """Radius of an atom, angstrom: half the nearest distance of the bulk, or the published program's value."""
    metal = element_data(symbol)
    if authors and metal.authors_radius_A is not None:
        return metal.authors_radius_A
    return metal.radius_A
