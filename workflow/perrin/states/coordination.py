"""Coordination numbers: of the positions as they are, and what the positions' errors make of them."""

import numpy as np
from scipy.special import ndtr

from perrin.imaging import lattice
from perrin.states.neighbours import (
    FIRST_SHELL_ATOMS,
    SECOND_SHELL,
    both_ways,
    pairs,
    radial_minimum,
    shell_midpoint,
)

CUTOFF_MODES = ("fitted", "bulk", "rdf")


def cutoff(xyz, system, bulk_A, mode="fitted", fitted_A=None):
    """The distance below which two atoms are neighbours, angstrom.

    mode : "fitted" (midway between first and second shell of the fitted lattice, as the authors' program; of the bulk
        where nothing was fitted), "bulk" (of the bulk lattice), "rdf" (first minimum of the radial distribution), or a
        number of angstrom
    bulk_A, fitted_A : lattice constants, angstrom

    >>> round(float(cutoff(xyz, "fcc", a, "bulk")), 3)
    3.35
    """
    if not isinstance(mode, str):
        return float(mode)
    if mode not in CUTOFF_MODES:
        raise ValueError(f"cutoff mode {mode!r}: one of {', '.join(CUTOFF_MODES)}")
    if mode == "rdf" and len(xyz) > 1:
        return radial_minimum(xyz, lattice.nearest_distance(system, bulk_A), SECOND_SHELL[system] * bulk_A)
    use_fit = mode == "fitted" and fitted_A is not None and np.isfinite(fitted_A)
    return shell_midpoint(system, fitted_A if use_fit else bulk_A)


def coordination_numbers(xyz, cutoff_A):
    """(n,) int: number of atoms strictly nearer than cutoff_A.

    >>> histogram(coordination_numbers(xyz, 3.34))
    {6: 24, 7: 36, 8: 6, 9: 56, 12: 79}
    """
    return np.bincount(pairs(xyz, cutoff_A).ravel(), minlength=len(xyz))


def generalised(xyz, cutoff_A, system="fcc", variant="bulk"):
    """(n,) generalised coordination number: the neighbours' coordination numbers summed, over a maximum.

    variant : "bulk" divides by the bulk's coordination (12 in fcc; Calle-Vallejo 2014), "authors" by the largest
        coordination number among the atom's own neighbours (0 without neighbours), as the published program does

    >>> round(float(generalised(xyz, 3.34).mean()), 4)
    7.8458
    """
    directed = both_ways(pairs(xyz, cutoff_A))
    cn = np.bincount(directed[:, 0], minlength=len(xyz))
    total = np.bincount(directed[:, 0], weights=cn[directed[:, 1]], minlength=len(xyz))
    if variant == "bulk":
        return total / FIRST_SHELL_ATOMS[system]
    if variant != "authors":
        raise ValueError(f"generalised coordination {variant!r}: bulk or authors")
    largest = np.zeros(len(xyz))
    np.maximum.at(largest, directed[:, 0], cn[directed[:, 1]])
    return np.divide(total, largest, out=np.zeros(len(xyz)), where=largest > 0)


def expected(xyz, covariance_A2, cutoff_A):
    """(mean, sigma), each (n,): coordination numbers if every pair were drawn within its error.

    covariance_A2 : (n, 3, 3); the error of a distance is that of both atoms along the line that joins them. Pairs are
    taken as independent, so sigma is that of a sum of independent yes-or-no draws. NaN where a covariance is.

    >>> mean, sigma = expected(xyz, np.tile(0.05**2 * np.eye(3), (201, 1, 1)), 3.34)
    >>> bool(abs(mean - coordination_numbers(xyz, 3.34)).max() < 1e-6)
    True
    """
    variance = np.trace(covariance_A2, axis1=1, axis2=2)
    known = variance[np.isfinite(variance)]
    widest = np.sqrt(2 * known.max()) if len(known) else 0.0
    found = pairs(xyz, cutoff_A + 4 * min(widest, cutoff_A / 4))
    step = xyz[found[:, 0]] - xyz[found[:, 1]]
    distance = np.linalg.norm(step, axis=1)
    along = step / np.maximum(distance, 1e-12)[:, None]
    joint = covariance_A2[found[:, 0]] + covariance_A2[found[:, 1]]
    variance = np.einsum("mi,mij,mj->m", along, joint, along)
    sigma = np.sqrt(variance)
    # errors across the bond lengthen it, in second order
    distance = distance + (np.trace(joint, axis1=1, axis2=2) - variance) / (2 * np.maximum(distance, 1e-12))
    inside = np.where(sigma > 0, ndtr((cutoff_A - distance) / np.maximum(sigma, 1e-12)), distance < cutoff_A)
    inside = np.where(np.isnan(sigma), np.nan, inside)
    mean, spread = np.zeros(len(xyz)), np.zeros(len(xyz))
    for side in (0, 1):
        mean += np.bincount(found[:, side], inside, len(xyz))
        spread += np.bincount(found[:, side], inside * (1 - inside), len(xyz))
    return mean, np.sqrt(spread)


def crowded_neighbours(xyz, cutoff_A, cn, bulk=12):
    """(n,) int: neighbours with more than the bulk's coordination, a sign of misplaced atoms (ADJ_CN13)."""
    directed = both_ways(pairs(xyz, cutoff_A))
    return np.bincount(directed[:, 0], cn[directed[:, 1]] > bulk, len(xyz)).astype(int)


def fraction_above(cn, bound=8, variant="all"):
    """Share of atoms with a coordination number above bound.

    variant : "all" atoms; "authors": only those that their table by coordination keeps, i.e. coordination
        numbers 3 to 13 that at least two atoms have

    >>> fraction_above(np.array([6, 9, 12, 12]))
    0.75
    """
    cn = np.asarray(cn)
    if variant == "authors":
        number, count = np.unique(cn, return_counts=True)
        cn = cn[np.isin(cn, number[(count >= 2) & (number >= 3) & (number <= 13)])]
    elif variant != "all":
        raise ValueError(f"fraction_above {variant!r}: all or authors")
    return float(np.mean(cn > bound)) if len(cn) else np.nan


def histogram(cn):
    """{coordination number: atoms}, ascending."""
    number, count = np.unique(cn, return_counts=True)
    return dict(zip(number.tolist(), count.tolist()))


def site_kinds(cn):
    """(n,) text: what kind of place each atom of an fcc crystal holds, by its coordination number.

    adatom (5 or fewer), corner (6), edge (7), facet (8 and 9: of {100} and {111}), step (10, 11), bulk (12 and more).

    >>> site_kinds(np.array([5, 6, 7, 9, 11, 12])).tolist()
    ['adatom', 'corner', 'edge', 'facet', 'step', 'bulk']
    """
    names = np.array(["adatom", "corner", "edge", "facet", "step", "bulk"], dtype=object)
    return names[np.digitize(cn, [6, 7, 8, 10, 12])]
