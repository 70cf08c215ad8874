"""The lives of all sites together: the site that gains most takes its best life, the others see it, until all rest."""

import logging
from dataclasses import replace

import numpy as np

from perrin.windows.evidence import fit_amplitude
from perrin.windows.lives import best_life, changes_of, runs_of

log = logging.getLogger("perrin")

ALIKE_A = 1.0  # rms distance in the image below which two sites are hard to tell apart


def solve_lives(evidence, limits, sweeps=6, refits=1, lasting=False):
    """Find every site's life given all others (coordinate ascent); evidence.present becomes 0 and 1.

    evidence : Evidence, with a first guess of what is present (any number from 0 to 1)
    limits : lives.Thresholds
    refits : how often amplitudes are fitted again (they are too low while vanished atoms are in the model)
    lasting : whether frames count less while a view lasts whose errors do; poses that disagree then change no atom,
        and nobody would see that they do
    returns share (f,) of the expected fit that was reached, from the last amplitudes
    """
    explained = fit_amplitude(evidence)
    for _ in range(refits + 1):
        for sweep in range(sweeps):
            changed = _sweep(evidence, limits)
            swapped = 0 if changed else _swap(evidence, limits)
            log.info(
                "lives, sweep %d: %d sites changed, %d stays were taken back", sweep + 1, changed, swapped
            )
            if not (changed or swapped):
                break
        explained = fit_amplitude(evidence, lasting=lasting)
    return explained


def _best(evidence, limits, j):
    """Log-likelihood ratios of a site and the best life that they give it, others as they are.

    An atom's evidence deviates longer than an empty site's: the inflation is that of what the site is mostly.
    """
    ratio = evidence.ratio(j)
    inflation = evidence.inflation(limits.inflation, atom=ratio.sum() > 0)
    return ratio, best_life(ratio, replace(limits, inflation=inflation))[0]


def _sweep(evidence, limits):
    """Give each site its best life in turn, those first that gain most; the number of sites that changed."""
    sites = evidence.present.shape[1]
    quality = np.empty(sites)
    for j in range(sites):
        ratio, path = _best(evidence, limits, j)
        quality[j] = ((path - evidence.present[:, j]) * ratio).sum()
    changed = 0
    for j in np.argsort(-quality, kind="stable"):
        ratio, path = _best(evidence, limits, j)
        if np.array_equal(path, evidence.present[:, j]):
            continue
        evidence.set_present(j, path)
        changed += 1
    return changed


def _swap(evidence, limits):
    """Take back stays at a site that are a neighbour's absence, where that is as good; how many were.

    While the view is along the line between two sites the frames cannot tell them apart. Lives found one by one then
    may hold that an atom stepped aside for a while; both lives changed together need not pay for that.
    """
    moving = np.flatnonzero((evidence.present[1:] != evidence.present[:-1]).any(0))
    taken_back = 0
    for k in moving:
        for first, stop in runs_of(evidence.present[:, k] > 0.5):
            taken_back += any(
                _better(evidence, limits, k, slice(first, stop), j)
                for j in _alike(evidence, k, first, stop, moving)
            )
    return taken_back


def _alike(evidence, k, first, stop, moving):
    """Sites that change, lie over site k in the frames of its stay and are not there in some of them, nearest first."""
    u = evidence.u[first:stop]
    away = np.square(u[:, moving] - u[:, [k]]).sum(2).mean(0)
    away[(evidence.present[first:stop, moving] > 0.5).all(0)] = np.inf
    return [moving[i] for i in np.argsort(away, kind="stable") if away[i] < ALIKE_A**2 and moving[i] != k]


def _better(evidence, limits, k, stay, j):
    """Empty site k during a stay and give site j the best life it then has; undo both where that is worse.

    The atom at j may have been there all the time, or have left later than it seemed.
    """
    old_k, old_j = evidence.present[:, k].copy(), evidence.present[:, j].copy()
    new_k = old_k.copy()
    new_k[stay] = 0
    gain = ((new_k - old_k) * evidence.ratio(k)).sum()
    evidence.set_present(k, new_k)
    ratio, new_j = _best(evidence, limits, j)
    gain += ((new_j - old_j) * ratio).sum()
    paid, pays = (
        sum(limits.penalty(len(changes_of(path > 0.5))) for path in paths)
        for paths in ((old_k, old_j), (new_k, new_j))
    )
    if gain > pays - paid:
        evidence.set_present(j, new_j)
        return True
    evidence.set_present(k, old_k)
    return False
