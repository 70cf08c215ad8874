"""The lives of all sites together: the site that gains most takes its best life, the others see it, until all rest."""

import logging

import numpy as np

from perrin.windows.evidence import CROWDED, fit_amplitude
from perrin.windows.lives import best_life

log = logging.getLogger("perrin")


def solve_lives(evidence, limits, sweeps=6, refits=1):
    """Find every site's life given all others (coordinate ascent); evidence.present becomes 0 and 1.

    evidence : Evidence, with a first guess of what is present (any number from 0 to 1)
    limits : lives.Thresholds
    refits : how often amplitudes are fitted again (they are too low while vanished atoms are in the model)
    returns share (f,) of the expected fit that was reached, from the last amplitudes
    """
    explained = fit_amplitude(evidence)
    for _ in range(refits + 1):
        for sweep in range(sweeps):
            changed = _sweep(evidence, limits)
            log.info("lives, sweep %d: %d sites changed", sweep + 1, changed)
            if not changed:
                break
        explained = fit_amplitude(evidence)
    return explained


def _sweep(evidence, limits):
    """Give each site its best life in turn, those first that gain most; the number of sites that changed."""
    sites = evidence.present.shape[1]
    quality = np.empty(sites)
    for j in range(sites):
        ratio = evidence.ratio(j)
        path, _ = best_life(ratio, evidence.crowding(j) > CROWDED, limits)
        quality[j] = ((path - evidence.present[:, j]) * ratio).sum()
    changed = 0
    for j in np.argsort(-quality, kind="stable"):
        ratio = evidence.ratio(j)
        path, _ = best_life(ratio, evidence.crowding(j) > CROWDED, limits)
        if np.array_equal(path, evidence.present[:, j]):
            continue
        evidence.set_present(j, path)
        changed += 1
    return changed
