"""Errors along the least seen direction that no frame tells, from how atoms scatter about their lattice.

Columns of atoms do not look like sums of equal atoms, least of all in dark contrast. Where views are narrow, what the
sum lacks moves each atom along the line of sight by the same in all frames: halves agree, error bars are small, and all
are wrong alike. Atoms on a lattice show it. Displacements from it are as large along one direction as along another but
for errors, which across the line of sight are small and known.
"""

import logging

import numpy as np

from perrin.imaging.lattice import fitted_deformation
from perrin.rounds.unstretch import LEAST_ON

log = logging.getLogger("perrin")

NARROW = 0.5  # share of a mean strain taken away above which views are not believed alone
SURE = 4.0  # standard errors of a variance


def scatter_beyond(xyz_A, covariance_A2, strain, metal):
    """What the atoms' error bars lack along the least seen direction.

    xyz_A (n, 3), covariance_A2 (n, 3, 3); strain : of `perrin.rounds.unstretch.unstretched`; metal : Element
    returns dict with rms displacements from the lattice `along_A` and, an axis, `across_A`; `expected_A`, the one along
    by those across and the error bars; `lacking_A`, a standard deviation, 0 where the rest is no more than chance.
    None where views are wide, or atoms on no lattice
    """
    if strain is None or strain["held"] < NARROW:
        return None
    _, on, off = fitted_deformation(xyz_A, metal.system, metal.lattice_A)
    if on.mean() < LEAST_ON:
        return None
    direction, count = np.array(strain["direction"]), on.sum()
    bar = np.einsum("i,nij,j->n", direction, covariance_A2[on], direction).mean()
    bars = np.trace(covariance_A2[on], axis1=1, axis2=2).mean()
    along = np.square(off[on] @ direction).mean()
    across = (np.square(off[on]).sum(1).mean() - along) / 2
    expected = max(across - (bars - bar) / 2, 0) + bar
    lacking = along - expected
    sure = lacking > SURE * along * np.sqrt(2 / count)
    found = {
        "along_A": float(np.sqrt(along)), "across_A": float(np.sqrt(across)), "expected_A": float(np.sqrt(expected)),
        "lacking_A": float(np.sqrt(lacking)) if sure else 0.0,
    }  # fmt: skip
    log.info(
        "atoms are %.3f A from their sites along the least seen direction, %.3f across it; %.3f along expected: error "
        "bars lack %.3f A",
        *(found[name] for name in ("along_A", "across_A", "expected_A", "lacking_A")),
    )  # fmt: skip
    return found


def scatter_covariance(strain, scatter):
    """(3, 3) what every atom's covariance lacks; arguments as taken and returned by `scatter_beyond`."""
    if scatter is None:
        return np.zeros((3, 3))
    direction = np.array(strain["direction"])
    return scatter["lacking_A"] ** 2 * np.outer(direction, direction)
