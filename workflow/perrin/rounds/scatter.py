"""Atoms along the least seen direction, held by how they scatter about their lattice across it.

Where views are narrow, places along the line of sight are known many times worse than those across it, and what a sum
of equal atoms lacks (columns of a dark image saturate) moves each atom along it by the same in all frames: halves
agree, error bars are small, and all are wrong alike. Atoms on a lattice show it. A crystal's own displacements from its
lattice are as large along one direction as along another: across the line of sight they are measured, p^2 an axis,
along it they are p^2 + e_i^2, with the error e_i of each atom: its bar, and what the bars lack. The likeliest
displacement of an atom is then p^2 / (p^2 + e_i^2) of the one found, with the variance p^2 e_i^2 / (p^2 + e_i^2): the
posterior mean of normal errors and a normal prior whose variance is taken from the data (empirical Bayes; James and
Stein 1961, Efron and Morris 1973).
"""

import logging

import numpy as np

from perrin.rounds.unstretch import LEAST_ON, on_lattice

log = logging.getLogger("perrin")

NARROW = 0.5  # share of a mean strain taken away above which views are not believed alone
SURE = 4.0  # standard errors of a variance
OUTLIER = 4.0  # standard deviations: an atom that far from its site is there for a reason of its own
LEAST_OWN_A = 0.02  # displacements an axis that every crystal has


def narrow(strain):
    """Whether views say little of places along one direction; strain : of `perrin.rounds.unstretch.unstretched`."""
    return strain is not None and strain["held"] >= NARROW


def toward_lattice(xyz_A, covariance_A2, strain, metal):
    """Atoms, and their covariances, with displacements along the least seen direction held by those across it.

    xyz_A (n, 3), covariance_A2 (n, 3, 3); strain : of `perrin.rounds.unstretch.unstretched`; metal : Element
    returns xyz_A, covariance_A2, and a dict with rms displacements from the lattice as the frames have them, `along_A`
    and, an axis, `across_A`; `expected_A`, the one along by those across and the error bars; `lacking_A`, a standard
    deviation that the bars lack, 0 where it is no more than chance; `held`, the mean share of the displacements
    along that is taken away. None, and atoms as they came, where views are wide or atoms on no lattice
    """
    if not narrow(strain):
        return xyz_A, covariance_A2, None
    direction = np.array(strain["direction"])
    line = np.outer(direction, direction)
    _, on, off_A = on_lattice(xyz_A, metal, direction)
    if on.mean() < LEAST_ON:
        return xyz_A, covariance_A2, None
    depth = off_A @ direction
    bar = np.einsum("i,nij,j->n", direction, covariance_A2, direction)
    bars = (np.trace(covariance_A2[on], axis1=1, axis2=2) - bar[on]).mean() / 2
    along = np.square(depth[on]).mean()
    across = (np.square(off_A[on]).sum(1).mean() - along) / 2
    own = max(across - bars, LEAST_OWN_A**2)
    expected = own + bar[on].mean()
    lacking = along - expected
    if not lacking > SURE * along * np.sqrt(2 / on.sum()):
        lacking = 0.0
    error = bar + lacking
    kept = own / (own + error)
    held = on & (np.abs(depth) < OUTLIER * np.sqrt(along))
    taken = np.where(held, 1 - kept, 0.0)
    xyz = xyz_A - np.where(held, taken * depth, 0.0)[:, None] * direction
    shrink = np.eye(3) - taken[:, None, None] * line
    covariance = shrink @ (covariance_A2 + lacking * line) @ shrink + (taken**2 * own)[:, None, None] * line
    found = {
        "along_A": float(np.sqrt(along)), "across_A": float(np.sqrt(across)), "expected_A": float(np.sqrt(expected)),
        "lacking_A": float(np.sqrt(lacking)), "held": float(taken.mean()),
    }  # fmt: skip
    log.info(
        "atoms are %.3f A from their sites along the least seen direction, %.3f across it; %.3f along expected: error "
        "bars lack %.3f A; %.0f %% of the displacements along it are taken away",
        *(found[name] for name in ("along_A", "across_A", "expected_A", "lacking_A")), 100 * found["held"],
    )  # fmt: skip
    return xyz, covariance, found
