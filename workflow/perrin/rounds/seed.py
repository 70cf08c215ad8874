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


def sites_around(lock, extent_A):
    """The lattice's sites as far out as an atom may lie; extent_A : largest distance of one from the centre, about."""
    spacing = lattice.nearest_distance(lock.system, lock.a_A)
    radius = max(lock.radius_A + 1.6 * spacing, extent_A + 0.9 * spacing)
    xyz_A = lattice.sites(lock.system, lock.a_A, radius, lock.offset_A)
    expected = 4 / 3 * np.pi * lock.radius_A**3 / lattice.volume_per_atom(lock.system, lock.a_A)
    return sites.Sites.of(xyz_A, expected)


def seed_sites(filtered, lock, around, profile, pixel_A, amplitude, box_A, window=120, refine=3):
    """Where to begin: the best short window.

    Windows overlap by half; the three with the clearest occupancies (few grey ones) and good evidence are
    refined by themselves, and the clearest of those is the first model.
    around : Sites; amplitude : of one atom
    returns first frame of the window, amplitude
    """
    K = overlap(profile, profile, pixel_A)
    window = min(window, len(lock.rotation))
    tried = []
    for first in range(0, len(lock.rotation) - window + 1, max(window // 2, 1)):
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude)
        level, grey = occupancies(few, around, R, s, a, K)[1:]
        value = np.log(max(lock.evidence[part].mean(), 1.1)) * (1 - grey)
        tried.append((value, first, level, grey))
    best = None
    for _, first, level, _ in sorted(tried, reverse=True)[:3]:
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude * level)
        for _ in range(refine):
            o, level, grey = occupancies(few, around, R, s, a, K)
            keep = o > sites.PRESENT
            a = a * level
            R, s, a, gain, _ = polish(
                few,
                around.xyz_A[keep],
                np.minimum(o[keep], 1.2),
                K,
                R,
                s,
                a,
                3,
                walk_deg=lock.step_deg,
                box_A=box_A[part],
            )
        o, level, grey = occupancies(few, around, R, s, a, K)
        log.info(
            "seed from row %d: %d sites, grey share %.2f, %.0f nats",
            first,
            (o > sites.PRESENT).sum(),
            grey,
            gain.mean(),
        )
        if best is None or grey < best[0]:
            best = (grey, first, o, float(np.median(a)) * level)
    grey, first, o, level = best
    log.info("first model from row %d: %d sites, grey share %.2f", first, (o > sites.PRESENT).sum(), grey)
    return first, level


def occupancies(filtered, around, R, s, a, K, start=None, bounded=True):
    """Occupancies of lattice sites with their plateau at 1, the plateau, the share of grey ones.

    bounded : where many are grey no site may hold more than one atom, if that makes them clearer
    """
    b, N = sites.site_equations(filtered, around.xyz_A, R, s, a, K, around.differences)
    o = sites.nonnegative_solution(b, N, start=start)
    level = max(sites.plateau(o, around.expected), 1e-6)
    grey = sites.grey_share(o / level)
    if bounded and grey > GREY:
        other, most = sites.bounded_solution(b, N, around.expected, o)
        most = max(most, 1e-6)
        clearer = sites.grey_share(other / most)
        if clearer < grey:
            o, level, grey = other, most, clearer
    return o / level, level, grey
