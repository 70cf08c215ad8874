"""Crystallinity: the published tests by name, and a score that falls with disorder and does not know the
particle's size.

`ks_all_pairs` is what the paper says; any real particle gets practically 0, because an ideal cluster's
distances are a few discrete values. `ks_shell_populations` is what the authors' program computes; it has a
floor and depends on size. `coherence` is ours.
"""

import numpy as np
from scipy.spatial.distance import pdist

from perrin.imaging import lattice
from perrin.states.vacancies import vacancies

# where the centre of the reference sphere lies in the fcc cell: an atom, an octahedral and a tetrahedral
# hole, a bond's middle, nowhere special
CENTRES = np.array([[0, 0, 0], [0.5, 0, 0], [0.25, 0.25, 0.25], [0.25, 0.25, 0], [0.13, 0.07, 0.21]])
MOST_ATOMS = 3000  # pairs grow as the square


def reference_sphere(diameter_A, system, a_A, centre):
    """(m, 3) ideal lattice atoms within diameter_A / 2 of a point given in fractions of the cell."""
    middle = np.asarray(centre) @ lattice.cell(system, a_A)
    return lattice.sites(system, a_A, 0.5 * diameter_A + 1e-6, middle)


def kolmogorov(statistic, n1, n2):
    """p-value of the two-sample test by the asymptotic series with Stephens' correction, as published."""
    ne = n1 * n2 / (n1 + n2)
    lam = (np.sqrt(ne) + 0.12 + 0.11 / np.sqrt(ne)) * statistic
    total, last, sign = 0.0, 0.0, 1.0
    for j in range(1, 101):
        term = 2 * sign * np.exp(-2 * (j * lam) ** 2)
        total += term
        if abs(term) <= 1e-3 * last or abs(term) <= 1e-8 * total:
            return float(total)
        sign, last = -sign, abs(term)
    return 1.0


def ks_all_pairs(xyz, system, a_A, centres=CENTRES):
    """(p, D): two-sample Kolmogorov-Smirnov test of all pair distances against an ideal sphere of the same diameter.

    The best of several centres of the sphere; distances rounded to 1e-4 A, because last bits decide
    otherwise. The paper's words. Its values are degenerate: noise of 0.02 A gives p < 1e-20. (NaN, NaN)
    above MOST_ATOMS atoms or below 3.
    """
    if not 3 <= len(xyz) <= MOST_ATOMS:
        return np.nan, np.nan
    distance = np.sort(pdist(xyz).round(4))
    best = (0.0, 1.0)
    for centre in centres:
        sphere = reference_sphere(distance[-1], system, a_A, centre)
        if len(sphere) < 3:
            continue
        other = np.sort(pdist(sphere).round(4))
        value = np.unique(np.r_[distance, other])
        first = np.searchsorted(distance, value, side="right") / len(distance)
        second = np.searchsorted(other, value, side="right") / len(other)
        D = float(np.abs(first - second).max())
        p = kolmogorov(D, len(distance), len(other)) if D > 0 else 1.0
        if p > best[0] or (p == best[0] and best[1] > D):
            best = (p, D)
    return best


def shell_percentages(xyz, reference):
    """(percent of reference, percent of xyz): pairs per distance shell of the reference, as the authors'
    program bins them.

    A new shell begins where the next sorted distance of the reference differs from the running mean of the
    present shell by more than a tenth of the smallest distance; bins reach halfway to the neighbouring
    shells, first and last are open.
    """
    distance = np.sort(pdist(reference))
    tolerance = distance[0] / 10
    centre, total, count = [], distance[0], 1
    # jumps between lattice shells are far larger than rounding, so runs of equal distances are taken at once
    value, number = np.unique(distance.round(7), return_counts=True)
    total, count = value[0] * number[0], number[0]
    for v, k in zip(value[1:], number[1:]):
        if abs(v - total / count) > tolerance:
            centre.append(total / count)
            total, count = 0.0, 0
        total, count = total + v * k, count + k
    centre = np.array([*centre, total / count])
    edges = 0.5 * (centre[1:] + centre[:-1])
    result = []
    for d in (distance, pdist(xyz)):
        bins = np.bincount(np.searchsorted(edges, d), minlength=len(centre))
        result.append(100.0 * bins / bins.sum())
    return result


def two_sample_as_authors(first, second):
    """D of two lists as the authors' program finds it: at ties both lists advance by one element only."""
    first, second = np.sort(first), np.sort(second)
    i = j = 0
    D = f1 = f2 = 0.0
    while i < len(first) and j < len(second):
        a, b = first[i], second[j]
        if a <= b:
            i += 1
            f1 = i / len(first)
        if b <= a:
            j += 1
            f2 = j / len(second)
        D = max(D, abs(f1 - f2))
    return D


def ks_shell_populations(xyz, system, a_A, centres=CENTRES):
    """(mean, lowest, highest) over the reference's centres: the score of the authors' program.

    A test on two vectors of shell percentages as if they were samples, against an ideal sphere of the
    particle's largest distance. NaN above MOST_ATOMS atoms or below 3.
    """
    if not 3 <= len(xyz) <= MOST_ATOMS:
        return np.nan, np.nan, np.nan
    diameter = pdist(xyz).max()
    scores = []
    for centre in centres:
        sphere = reference_sphere(diameter, system, a_A, centre)
        if len(sphere) < 3:
            continue
        first, second = shell_percentages(xyz, sphere)
        D = two_sample_as_authors(first, second)
        scores.append(kolmogorov(D, len(first), len(second)) if D > 0 else 1.0)
    return (float(np.mean(scores)), min(scores), max(scores)) if scores else (np.nan,) * 3


def coherence(xyz, fit, holes=None):
    """(score, per atom (n,)): how well the atoms are in step with one lattice: 1 perfect, near 0 for
    points without order.

    Each atom counts the mean of cos(2 pi G . offset) over the lattice's three lowest families of
    reflections G, the offset being from its site on the fitted lattice; atoms that share a site with a
    nearer one count 0. Their sum is divided by the number of atoms and of vacancies (holes; found where
    None). Scale does not matter, the lattice is the fitted one.

    >>> round(float(coherence(1.01 * xyz, fit)[0]), 6)
    1.0
    >>> moved = xyz + np.random.default_rng(0).normal(0, 0.2, xyz.shape)
    >>> round(float(coherence(moved, fit_lattice(moved, "fcc", a))[0]), 1)
    0.8
    """
    if not np.isfinite(fit.cell_A).all() or len(xyz) == 0:
        return 0.0, np.zeros(len(xyz))
    value = np.where(_own_site(fit), _in_step(fit, fit.residual_A), 0.0)
    holes = len(vacancies(xyz, fit)) if holes is None else holes
    return float(max(value.sum(), 0.0) / (len(xyz) + holes)), value


def coherence_moved(fit, present, move_A):
    """The score where only `present` atoms (n,) bool exist and all are moved by move_A (n, 3); vacancies
    not counted.
    """
    value = np.where(_own_site(fit), _in_step(fit, fit.residual_A + move_A), 0.0)[present]
    return float(max(value.mean(), 0.0)) if len(value) else np.nan


def _in_step(fit, offset_A):
    """(n,) mean over the three lowest families of cos(2 pi G . offset)."""
    ideal = lattice.reflections(fit.system, 1.0, {"fcc": 2.9, "bcc": 2.5, "hcp": 1.6}[fit.system])
    hkl = np.rint(ideal.G @ lattice.cell(fit.system, 1.0).T)
    phase = 2 * np.pi * offset_A @ (np.linalg.inv(fit.cell_A) @ hkl.T)
    families = np.unique(ideal.shell)[:3]
    return np.mean([np.cos(phase[:, ideal.shell == family]).mean(1) for family in families], axis=0)


def _own_site(fit):
    """(n,) bool: the atom is the nearest of all to its site."""
    order = np.lexsort((np.linalg.norm(fit.residual_A, axis=1), *fit.site.T.round(6)))
    site = fit.site[order].round(6)
    first = np.ones(len(site), bool)
    first[1:] = np.any(site[1:] != site[:-1], axis=1)
    own = np.zeros(len(site), bool)
    own[order[first]] = True
    return own
