"""Motions that carry a set of atoms onto itself, nearly: an icosahedron has 60, a lattice's ball 24, a cut one fewer.

Poses that differ by one of them show nearly the same image. Those that turn the mirrored set onto itself are listed
too: a projection does not change when the body is mirrored along the beam, so after half a turn about the beam they
show the same image as well. They are found from the neighbourhoods of the atoms in the middle: one atom with two of its
neighbours is laid on every other such triple, and what brings most atoms onto atoms is kept.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from perrin.imaging.grids import HALF_TURN

MIDDLE = 2  # atoms that are laid on others
ALIKE_A = 0.6  # by which distances within triples may differ
APART_DEG, APART_A = 6.0, 1.0  # nearer motions are one


@dataclass(frozen=True)
class Motions:
    """x -> S x + t for the first `proper` rows, x -> t - S x for the others, about the centroid; the identity first.

    rotation : (g, 3, 3); offset_A : (g, 3); share : (g,) of the atoms that land on one
    """

    rotation: np.ndarray
    offset_A: np.ndarray
    share: np.ndarray
    proper: int

    def __len__(self):
        return len(self.rotation)


def own_motions(xyz_A, least=0.7, within_A=0.7):
    """The motions that carry a set of atoms, or its inverted image, onto itself.

    xyz_A : (n, 3); least : share of the atoms that must land within within_A of one, each of another
    Of a lattice, which comes onto itself after slips too, only the best motion of each rotation is listed.
    """
    xyz = np.asarray(xyz_A, float) - np.mean(xyz_A, axis=0)
    tree = cKDTree(xyz)
    bond = np.median(tree.query(xyz, 2)[0][:, 1])
    near = tree.query_ball_point(xyz, 1.25 * bond)
    order = np.argsort(np.linalg.norm(xyz, axis=1), kind="stable")
    middle = order[np.linalg.norm(xyz[order], axis=1) < np.linalg.norm(xyz[order[0]]) + 1.3 * bond]
    found = {1: [(1.0, np.eye(3), np.zeros(3))], -1: []}
    for a in order[:MIDDLE]:
        base = _triple(xyz, a, near[a])
        if base is None:
            continue
        for c in middle:
            for first, second in _pairs(xyz, c, near[c], base[1]):
                for sign, group in found.items():
                    turn = sign * _axes(sign * first, sign * second) @ base[0].T
                    if _known(turn, xyz[c] - turn @ xyz[a], group):
                        continue
                    motion = _settled(turn, xyz[c] - turn @ xyz[a], xyz, tree, least, within_A)
                    if motion is not None:
                        group.append(motion)
    kept = {sign: _unlike(group) for sign, group in found.items()}
    every = kept[1] + kept[-1]
    share, turn, offset = (np.array(column) for column in zip(*every))
    turn[len(kept[1]) :] *= -1
    return Motions(turn, offset, share, len(kept[1]))


def same_images(rotation, own):
    """(..., g, 3, 3) poses of nearly equal image: R S, and half a turn after R S for motions of the inverted image.

    rotation : (..., 3, 3), the first of each is itself; own : Motions
    """
    turned = np.asarray(rotation)[..., None, :, :] @ own.rotation
    turned[..., own.proper :, :, :] = HALF_TURN @ turned[..., own.proper :, :, :]
    return turned


def moved_images(rotation, shift_A, own):
    """The same with the shifts that go with them: (..., g, 3, 3), (..., g, 2)."""
    along = np.einsum("...ij,gj->...gi", np.asarray(rotation)[..., :2, :], own.offset_A)
    return same_images(rotation, own), np.asarray(shift_A)[..., None, :] + along


def _triple(xyz, a, near):
    """Axes of an atom's two neighbours that are nearest to a right angle, their lengths and distance."""
    steps = xyz[[n for n in near if n != a]] - xyz[a]
    if len(steps) < 2:
        return None
    unit = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    cosine = np.abs(unit @ unit.T)
    i, j = np.unravel_index(np.argmin(cosine), cosine.shape)
    lengths = np.linalg.norm([steps[i], steps[j], steps[i] - steps[j]], axis=1)
    return (_axes(steps[i], steps[j]), lengths) if cosine[i, j] < 0.9 else None


def _pairs(xyz, c, near, lengths):
    """Ordered pairs of steps from an atom to neighbours that are as long and as far apart as given."""
    steps = xyz[[n for n in near if n != c]] - xyz[c]
    size = np.linalg.norm(steps, axis=1)
    apart = np.linalg.norm(steps[:, None] - steps, axis=2)
    fits = (np.abs(size - lengths[0]) < ALIKE_A)[:, None] & (np.abs(size - lengths[1]) < ALIKE_A)
    rows = np.argwhere(fits & (np.abs(apart - lengths[2]) < ALIKE_A))
    return [(steps[i], steps[j]) for i, j in rows]


def _axes(first, second):
    """Right-handed axes (columns) of two vectors."""
    x = first / np.linalg.norm(first)
    z = np.cross(first, second)
    z = z / max(np.linalg.norm(z), 1e-12)
    return np.stack([x, np.cross(z, x), z], 1)


def _settled(turn, offset, xyz, tree, least, within_A):
    """(share, map, offset) at their least squares between partners; None where too few atoms have one."""
    inverted = np.linalg.det(turn) < 0
    for _ in range(3):
        away, partner = tree.query(xyz @ turn.T + offset)
        near = away < 1.4 * within_A
        if near.mean() < 0.5 * least:
            return None
        here, there = xyz[near], xyz[partner[near]]
        u, _, v = np.linalg.svd((there - there.mean(0)).T @ (here - here.mean(0)))
        turn = u @ np.diag([1, 1, np.linalg.det(u @ v) * (-1 if inverted else 1)]) @ v
        offset = there.mean(0) - turn @ here.mean(0)
    away, partner = tree.query(xyz @ turn.T + offset)
    share = len(np.unique(partner[away < within_A])) / len(xyz)
    return (share, turn, offset) if share >= least else None


def _known(turn, offset, group):
    """Whether a motion is one of the group, before it is settled."""
    return any(_alike(turn, m[1]) and np.linalg.norm(offset - m[2]) < APART_A for m in group)


def _alike(first, second):
    return np.vdot(first, second) > 1 + 2 * np.cos(np.radians(APART_DEG))


def _unlike(group):
    """The best motion of each rotation, best first."""
    kept = []
    for motion in sorted(group, key=lambda m: -round(m[0], 6)):
        if not any(_alike(motion[1], m[1]) for m in kept):
            kept.append(motion)
    return kept
