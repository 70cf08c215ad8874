"""Rotations that carry a set of atoms onto itself, nearly: an icosahedron has 60, a lattice's ball 24, a cut one fewer.

Poses that differ by one of them show nearly the same image. Those that turn the mirrored set onto itself are listed
too: a projection does not change when the body is mirrored along the beam, so after half a turn about the beam they
show the same image as well.
"""

import numpy as np
from scipy.spatial import cKDTree

from perrin.imaging.grids import HALF_TURN

REFERENCES = 4  # pairs of atoms that are tried: some of an uneven particle have no partners
SHELL_A = 0.9  # by which the distances of partners may differ: atoms that lack move the centroid
APART_DEG = 6.0  # nearer rotations are one


def own_rotations(xyz_A, least=0.75, within_A=0.7):
    """Rotations about the centroid that carry the atoms, or their inverted image, onto the atoms.

    xyz_A : (n, 3); least : share of the atoms that must land within within_A of one
    returns (g, 3, 3), the identity first; (m, 3, 3), those of the inverted image
    """
    xyz = np.asarray(xyz_A, float) - np.mean(xyz_A, axis=0)
    tree, radius = cKDTree(xyz), np.linalg.norm(xyz, axis=1)
    found = {1: [np.eye(3)], -1: []}
    for a, b in _references(xyz, radius):
        span = np.linalg.norm(xyz[a] - xyz[b])
        first = np.flatnonzero(np.abs(radius - radius[a]) < SHELL_A)
        second = np.flatnonzero(np.abs(radius - radius[b]) < SHELL_A)
        between = np.linalg.norm(xyz[first, None] - xyz[second], axis=2)
        pairs = np.argwhere(np.abs(between - span) < SHELL_A)
        base = _frame(xyz[a], xyz[b])
        for c, d in pairs:
            for sign, group in found.items():
                turn = _frame(sign * xyz[first[c]], sign * xyz[second[d]]) @ base.T
                if _known(turn, group):
                    continue
                turn = _settled(sign * turn, xyz, tree, least, within_A)
                if turn is not None and not _known(sign * turn, group):
                    group.append(sign * turn)
    return np.array(found[1]), np.array(found[-1]).reshape(-1, 3, 3)


def _references(xyz, radius):
    """Pairs of far atoms at an open angle from the centroid."""
    order = np.argsort(-radius, kind="stable")
    pairs = []
    for a in order[: 3 * REFERENCES : 3]:
        cosine = xyz[order] @ xyz[a] / np.maximum(radius[order] * radius[a], 1e-9)
        open_ = order[(np.abs(cosine) < 0.8) & (radius[order] > 0.3 * radius[a])]
        if len(open_):
            pairs.append((a, open_[0]))
    return pairs


def _frame(first, second):
    """Right-handed axes (columns) of two vectors."""
    x = first / np.linalg.norm(first)
    z = np.cross(first, second)
    z = z / max(np.linalg.norm(z), 1e-12)
    return np.stack([x, np.cross(z, x), z], 1)


def _settled(turn, xyz, tree, least, within_A):
    """The map at its least squares between partners, the centre left free; None where too few atoms have one."""
    inverted, offset = np.linalg.det(turn) < 0, np.zeros(3)
    for _ in range(2):
        away, partner = tree.query(xyz @ turn.T + offset)
        near = away < 1.4 * within_A
        if near.mean() < 0.6 * least:
            return None
        here, there = xyz[near], xyz[partner[near]]
        u, _, v = np.linalg.svd((there - there.mean(0)).T @ (here - here.mean(0)))
        turn = u @ np.diag([1, 1, np.linalg.det(u @ v) * (-1 if inverted else 1)]) @ v
        offset = there.mean(0) - turn @ here.mean(0)
    away, partner = tree.query(xyz @ turn.T + offset)
    return turn if len(np.unique(partner[away < within_A])) >= least * len(xyz) else None


def _known(turn, group):
    limit = 1 + 2 * np.cos(np.radians(APART_DEG))
    return any(np.trace(turn @ other.T) > limit for other in group)


def same_images(rotation, own):
    """(..., g + m, 3, 3) poses of nearly equal image: R S, and half a turn after R S for the inverted image's S.

    rotation : (..., 3, 3), the first of each is itself; own : of `own_rotations`
    """
    right, mirrored = own
    turned = rotation[..., None, :, :]
    return np.concatenate([turned @ right, HALF_TURN @ turned @ mirrored], -3)
