"""The first model: occupancies of lattice sites in the short stretch where they are clearest.

Over all frames the shifts of the lattice path have slipped, and occupancies would blend several shifted copies of the
particle; some hundred frames are few enough to be of one piece and enough to see every site.
"""

import logging

import numpy as np

from perrin.atoms import sites
from perrin.imaging import lattice
from perrin.imaging.blobs import Filtered
from perrin.imaging.profile import overlap
from perrin.poses.polish import polish

log = logging.getLogger("perrin")

GREY = 0.1  # share of grey occupancies above which they are not clear


def seed_sites(filtered, lock, profile, pixel_A, extent_A, amplitude, box_A, window=120, refine=3):
    """Sites and occupancies from the best short window.

    Windows overlap by half; the three with the clearest occupancies (few grey ones) and good evidence are
    refined by themselves, and the clearest of those is the first model.
    returns first frame of the window, amplitude, (all sites, their differences, expected number of atoms)
    """
    spacing = lattice.nearest_distance(lock.system, lock.a_A)
    radius = max(lock.radius_A + 1.6 * spacing, extent_A + 0.9 * spacing)
    all_sites = lattice.sites(lock.system, lock.a_A, radius, lock.offset_A)
    differences = sites.difference_table(all_sites)
    expected = 4 / 3 * np.pi * lock.radius_A**3 / lattice.volume_per_atom(lock.system, lock.a_A)
    K = overlap(profile, profile, pixel_A)
    window = min(window, len(lock.rotation))
    tried = []
    for first in range(0, len(lock.rotation) - window + 1, max(window // 2, 1)):
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude)
        level, grey = occupancies(few, all_sites, R, s, a, K, differences, expected)[1:]
        value = np.log(max(lock.evidence[part].mean(), 1.1)) * (1 - grey)
        tried.append((value, first, level, grey))
    best = None
    for _, first, level, _ in sorted(tried, reverse=True)[:3]:
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude * level)
        for _ in range(refine):
            o, level, grey = occupancies(few, all_sites, R, s, a, K, differences, expected)
            keep = o > 0.5
            a = a * level
            R, s, a, gain, _ = polish(
                few,
                all_sites[keep],
                np.minimum(o[keep], 1.2),
                K,
                R,
                s,
                a,
                3,
                walk_deg=lock.step_deg,
                box_A=box_A[part],
            )
        o, level, grey = occupancies(few, all_sites, R, s, a, K, differences, expected)
        log.info(
            "seed from row %d: %d sites, grey share %.2f, %.0f nats",
            first,
            (o > 0.5).sum(),
            grey,
            gain.mean(),
        )
        if best is None or grey < best[0]:
            best = (grey, first, o, float(np.median(a)) * level)
    grey, first, o, level = best
    log.info("first model from row %d: %d sites, grey share %.2f", first, (o > 0.5).sum(), grey)
    return first, level, (all_sites, differences, expected)


def occupancies(filtered, points, R, s, a, K, differences, expected, start=None):
    """Occupancies of lattice sites with their plateau at 1, the plateau, the share of grey ones.

    Where many are grey no site may hold more than one atom, if that makes them clearer.
    """
    b, N = sites.site_equations(filtered, points, R, s, a, K, differences)
    o = sites.nonnegative_solution(b, N, start=start)
    level = max(sites.plateau(o, expected), 1e-6)
    grey = sites.grey_share(o / level)
    if grey > GREY:
        bounded, most = sites.bounded_solution(b, N, expected, o)
        most = max(most, 1e-6)
        clearer = sites.grey_share(bounded / most)
        if clearer < grey:
            o, level, grey = bounded, most, clearer
    return o / level, level, grey
