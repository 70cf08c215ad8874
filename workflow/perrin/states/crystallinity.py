"""Crystallinity: the published tests by name, and a score that falls with disorder and does not know the
particle's size.

`ks_all_pairs` is what the paper says; any real particle gets practically 0, because an ideal cluster's
distances are a few discrete values. `ks_shell_populations` is what the authors' program computes; it has a
floor and depends on size. `coherence` is ours.
"""

import numpy as np
from scipy import fft
from scipy.spatial.distance import cdist

from perrin.imaging import lattice
from perrin.states.surface import largest_distance
from perrin.states.vacancies import vacancies

# where the centre of the reference sphere lies in the fcc cell: an atom, an octahedral and a tetrahedral
# hole, a bond's middle, nowhere special
CENTRES = np.array([[0, 0, 0], [0.5, 0, 0], [0.25, 0.25, 0.25], [0.25, 0.25, 0], [0.13, 0.07, 0.21]])
MOST_ATOMS = 30_000  # pairs grow as the square
MOST_IN_SPHERE = 300_000  # atoms of the reference, which a long particle makes many
STEP_A = 1e-4  # distances are counted in steps of this, because last bits decide otherwise


def reference_sphere(diameter_A, system, a_A, centre):
    """(m, 3) ideal lattice atoms within diameter_A / 2 of a point given in fractions of the cell.

    None where they would be more than MOST_IN_SPHERE.
    """
    if np.pi / 6 * diameter_A**3 > MOST_IN_SPHERE * lattice.volume_per_atom(system, a_A):
        return None
    middle = np.asarray(centre) @ lattice.cell(system, a_A)
    return lattice.sites(system, a_A, 0.5 * diameter_A + 1e-6, middle)


def pair_counts(xyz, at_once=2_000_000):
    """(k,) int64: pairs of the points (n, 3) at each distance, 0, STEP_A, 2 STEP_A, ... angstrom."""
    most = int(np.linalg.norm(np.ptp(xyz, axis=0)) / STEP_A) + 2
    count = np.zeros(most, np.int64)
    rows = max(1, at_once // len(xyz))
    for first in range(0, len(xyz), rows):
        distance = cdist(xyz[first : first + rows], xyz[first:])
        later = np.arange(distance.shape[1]) > np.arange(len(distance))[:, None]
        count += np.bincount(np.rint(distance[later] / STEP_A).astype(np.int64), minlength=most)
    return count


def lattice_distances(points, system, a_A):
    """(distance_A, count), ascending: pairs of lattice points (n, 3), by the self-correlation of their occupied sites.

    Distances that agree to 1e-7 angstrom are one. Points go with the volume that they span, not with its square.
    """
    wide = {"hcp": [0.5, np.sqrt(3) / 6, 0.5 * lattice.IDEAL_C_OVER_A]}.get(system, [0.5] * 3)
    step = a_A * np.array(wide)
    site = np.rint((points - points[0]) / step).astype(int)
    site -= site.min(0)
    shape = site.max(0) + 1
    grid = [fft.next_fast_len(int(2 * n - 1), real=True) for n in shape]
    occupied = np.zeros(grid)
    occupied[tuple(site.T)] = 1
    power = np.abs(fft.rfftn(occupied)) ** 2
    pairs = np.rint(fft.irfftn(power, grid)).astype(np.int64)
    pairs[0, 0, 0] = 0
    at = np.nonzero(pairs)
    away = [np.minimum(k, n - k) * s for k, n, s in zip(at, grid, step)]
    distance, which = np.unique(np.sqrt(np.sum(np.square(away), 0)).round(7), return_inverse=True)
    return distance, np.bincount(which, pairs[at]).astype(np.int64) // 2


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
    above MOST_ATOMS atoms, below 3, or where the sphere has more than MOST_IN_SPHERE.
    """
    return pair_scores(xyz, system, a_A, centres)[:2]


def ks_shell_populations(xyz, system, a_A, centres=CENTRES):
    """(mean, lowest, highest) over the reference's centres: the score of the authors' program.

    A test on two vectors of shell percentages as if they were samples, against an ideal sphere of the
    particle's largest distance. NaN above MOST_ATOMS atoms, below 3, or where the sphere has more than
    MOST_IN_SPHERE.
    """
    return pair_scores(xyz, system, a_A, centres)[2:]


def pair_scores(xyz, system, a_A, centres=CENTRES):
    """(p, D, mean, lowest, highest): ks_all_pairs and ks_shell_populations, the pairs counted once for both."""
    if not 3 <= len(xyz) <= MOST_ATOMS:
        return (np.nan,) * 5
    count = pair_counts(xyz)
    diameter = largest_distance(xyz)
    best, shells = (0.0, 1.0), []
    for centre in centres:
        sphere = reference_sphere(diameter, system, a_A, centre)
        if sphere is None:
            return (np.nan,) * 5
        if len(sphere) < 3:
            continue
        distance, number = lattice_distances(sphere, system, a_A)
        D = _largest_gap(count, distance, number)
        p = kolmogorov(D, count.sum(), number.sum()) if D > 0 else 1.0
        if p > best[0] or (p == best[0] and best[1] > D):
            best = (p, D)
        first, second = shell_percentages(count, distance, number)
        D = two_sample_as_authors(first, second)
        shells.append(kolmogorov(D, len(first), len(second)) if D > 0 else 1.0)
    return *best, *((float(np.mean(shells)), min(shells), max(shells)) if shells else (np.nan,) * 3)


def _largest_gap(count, distance_A, number):
    """Largest difference between the shares of pairs up to a distance: counts per step against (distance_A, number)."""
    at = np.rint(distance_A / STEP_A).astype(np.int64)
    most = max(len(count), at[-1] + 1)
    first = np.bincount(np.arange(len(count)), count, most)
    second = np.bincount(at, number, most)
    return float(np.abs(first.cumsum() / first.sum() - second.cumsum() / second.sum()).max())


def shell_percentages(count, distance_A, number):
    """(percent of the reference, percent of the particle): pairs per distance shell of the reference, as the authors'
    program bins them.

    count : pairs of the particle (pair_counts); distance_A, number : those of the reference (lattice_distances).
    A new shell begins where the next sorted distance of the reference differs from the running mean of the
    present shell by more than a tenth of the smallest distance; bins reach halfway to the neighbouring
    shells, first and last are open.
    """
    tolerance = distance_A[0] / 10
    centre, total, so_far = [], 0.0, 0
    for d, k in zip(distance_A, number):
        if so_far and abs(d - total / so_far) > tolerance:
            centre.append(total / so_far)
            total, so_far = 0.0, 0
        total, so_far = total + d * k, so_far + k
    centre = np.array([*centre, total / so_far])
    edges = 0.5 * (centre[1:] + centre[:-1])
    found = np.flatnonzero(count)
    result = []
    for d, k in ((distance_A, number), (found * STEP_A, count[found])):
        bins = np.bincount(np.searchsorted(edges, d), k, len(centre))
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
