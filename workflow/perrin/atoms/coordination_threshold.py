"""Thresholding by coordination: atoms at the rim with too few neighbours are taken out (as published).

T is the coordination number that 95 % of the atoms reach. Of the 15 % of the atoms furthest from the
centroid, those with CN < T - 1 are removed, once; then, until nothing changes, those with CN < T whose segment is
smaller than half the theoretical radius.

Variants:
- "paper": the text. T is the largest bound that at least 95 % of the atoms reach; neighbours are atoms nearer than the
  midpoint of the lattice's first and second shell.
- "program": T is the first bound that at most 95 % reach, never above 6 for close-packed metals; neighbours within
  that midpoint + 0.15 radii. (Its mistaken identities after the first removal are not reproduced.)
- "off".

A perfect crystal can lose atoms: the six tips of an octahedron have CN 4.
"""

import logging

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.metals import contact_distance, theoretical_radius
from perrin.files.errors import InputError

log = logging.getLogger("perrin")

VARIANTS = ("paper", "program", "off")
SHARE = 0.95
OUTER = 0.15
PROGRAM_CAP = 6
PROGRAM_MARGIN = 0.15


def contacts(xyz_A, distance_A):
    """(n,) number of other atoms within distance_A of each."""
    xyz = np.asarray(xyz_A, float).reshape(-1, 3)
    if len(xyz) == 0:
        return np.zeros(0, int)
    tree = cKDTree(xyz)
    return np.asarray(tree.query_ball_point(xyz, distance_A, return_length=True)) - 1


def bound(cn, variant="paper"):
    """T of a list of coordination numbers; see the module."""
    numbers = np.arange(1, 14)
    share = np.array([np.mean(cn >= n) for n in numbers])
    if variant == "program":
        return min(int(numbers[np.argmax(share <= SHARE)]), PROGRAM_CAP)
    # an atom without any neighbour counts: then no bound may be reached by enough
    return int(numbers[share >= SHARE].max(initial=0))


def outermost(xyz_A):
    """(n,) bool: the 15 % of the atoms furthest from the centroid, with all that are as far as the last of them.

    (The program takes those strictly beyond the atom at 85 %: on a perfect crystal round-off then picks some of
    a shell of equal distances, or none.)
    """
    distance = np.linalg.norm(xyz_A - xyz_A.mean(0), axis=1)
    inner = int(np.floor((1 - OUTER) * len(xyz_A) + 0.5))
    return distance >= np.sort(distance)[min(inner, len(xyz_A) - 1)] - 1e-6


def kept_by_coordination(atoms, lattice_A, variant="paper"):
    """Which atoms stay, and the numbers of it.

    atoms : Atoms; extra["radius_A"] (n,), the largest distance from an atom's centre to a voxel of its segment, is
        needed for the second rule; without it that rule removes nothing
    lattice_A : lattice constant, fitted or of the bulk
    returns (n,) bool, dict of bound, contact_A, outermost, removed_by_contacts, removed_by_size
    """
    if variant not in VARIANTS:
        raise InputError(f"thresholding by coordination has no variant {variant!r}: {', '.join(VARIANTS)}")
    n = len(atoms)
    kept = np.ones(n, bool)
    if variant == "off" or n < 2:
        return kept, {
            "bound": None,
            "contact_A": None,
            "outermost": 0,
            "removed_by_contacts": 0,
            "removed_by_size": 0,
        }
    reach = contact_distance(atoms.element, lattice_A)
    radius = theoretical_radius(atoms.element, authors=True)
    if variant == "program":
        reach += PROGRAM_MARGIN * radius
    cn = contacts(atoms.xyz_A, reach)
    limit = bound(cn, variant)
    rim = outermost(atoms.xyz_A)
    kept &= ~(rim & (cn < limit - 1))
    by_contacts = n - int(kept.sum())
    small = np.asarray(atoms.extra.get("radius_A", np.full(n, np.inf))) < radius / 2
    while True:
        left = np.flatnonzero(kept)
        if len(left) == 0:
            break
        poor = rim[left] & small[left] & (contacts(atoms.xyz_A[left], reach) < limit)
        if not poor.any():
            break
        kept[left[poor]] = False
    facts = {
        "bound": limit,
        "contact_A": float(reach),
        "outermost": int(rim.sum()),
        "removed_by_contacts": by_contacts,
        "removed_by_size": n - by_contacts - int(kept.sum()),
    }
    return kept, facts


def threshold_by_coordination(atoms, lattice_A, variant="paper"):
    """The atoms that stay, with all their columns; see `kept_by_coordination`."""
    kept, facts = kept_by_coordination(atoms, lattice_A, variant)
    if not kept.all():
        log.info(
            "coordination below %d: %d atoms of the rim removed, %d of them for their size too",
            facts["bound"],
            int((~kept).sum()),
            facts["removed_by_size"],
        )
    return atoms.take(kept)
