"""Docking: whether two states share a body frame, and the rigid motion that brings one onto the other where not."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging import lattice

MARGIN = 0.05  # share of the atoms by which another placement must match better than the one found
SHIFT_A = 0.15  # rigid motions that displace atoms by less (rms) are left alone


@dataclass(frozen=True)
class Dock:
    """A rigid motion: docked = rotation @ xyz + translation.

    share : of the smaller state's atoms that then lie within the gate of an atom of the other, one to one
    second_share : of the best other placement; moved : whether the motion is more than nothing
    rms_A : of the matched atoms
    """

    rotation: np.ndarray
    translation_A: np.ndarray
    share: float
    second_share: float
    rms_A: float
    moved: bool
    why: str

    def __call__(self, xyz):
        return xyz @ self.rotation.T + self.translation_A


def dock(xyz, reference, fit, reference_fit, nearest_A):
    """Bring xyz onto reference. Both (n, 3), angstrom; their LatticeFits; nearest_A: nearest-neighbour distance.

    Windows share their body frame already, so the identity stands unless another placement matches 5 % more atoms:
    a crystal falls onto itself by 24 rotations and a neighbour's translation, where only the outline tells. Tried are
    the identity, the lattice's rotations and translations by the first two shells (where both lattices fit), each
    refined by iterated closest points with trimming. Rigid motions of less than 0.15 A rms are not applied.
    """
    nothing = (np.eye(3), np.zeros(3))
    placements = [nothing, *_placements(xyz, reference, fit, reference_fit, nearest_A)]
    tree = cKDTree(reference)
    rough = np.array([(tree.query(xyz @ R.T + t)[0] < 0.4 * nearest_A).mean() for R, t in placements])
    order = [0, *[k for k in np.argsort(-rough, kind="stable") if k != 0][:6]]
    refined = [_closest_points(xyz, reference, tree, *placements[k], 0.4 * nearest_A) for k in order]
    least = min(len(xyz), len(reference))
    shares = np.array([matched / least for _, _, matched, _ in refined])
    best = int(np.argmax(shares))
    chosen = best if shares[best] > shares[0] + MARGIN else 0
    R, t, _, rms = refined[chosen]
    apart = [s for (r, u, _, _), s in zip(refined, shares) if _motion(xyz, r, u, R, t) > 0.5 * nearest_A]
    second = float(max(apart, default=0.0))
    motion = _motion(xyz, R, t, *nothing)
    if motion < SHIFT_A:
        (R, t), moved, why = nothing, False, "the body frames agree"
    else:
        angle = np.degrees(Rotation.from_matrix(R).magnitude())
        moved, why = True, f"turned by {angle:.1f} deg and moved by {motion:.2f} A rms onto the state before"
    return Dock(R, t, float(shares[chosen]), second, float(rms), moved, why)


def kabsch(xyz, target):
    """(R, t): the proper rotation and translation that bring xyz (n, 3) onto target in least squares.

    >>> turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    >>> R, t = kabsch(xyz, xyz @ turn.T + [1, 2, 3])
    >>> bool(np.allclose(R, turn)), t.round(6).tolist()
    (True, [1.0, 2.0, 3.0])
    """
    a, b = xyz.mean(0), target.mean(0)
    u, _, vt = np.linalg.svd((target - b).T @ (xyz - a))
    R = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    return R, b - R @ a


def _placements(xyz, reference, fit, reference_fit, nearest):
    """(R, t) of the lattice's own rotations and short translations, and of the identity about the centroids."""
    centred = reference.mean(0) - xyz.mean(0)
    if not (fit.fits and reference_fit.fits):
        return [(np.eye(3), centred)]
    turns = [reference_fit.rotation @ S @ fit.rotation.T for S in lattice.rotation_group(fit.system)]
    shell = lattice.sites(fit.system, fit.a_A, 1.05 * max(fit.a_A, nearest)) @ reference_fit.rotation.T
    found = []
    for R in turns:
        # the lattice's points onto points of the other, near where the centroids coincide
        t = reference_fit.origin_A - R @ fit.origin_A
        off = (centred + xyz.mean(0)) - (R @ xyz.mean(0) + t)
        cell = reference_fit.cell_A
        fraction = off @ np.linalg.inv(cell) * 2
        step = np.rint(fraction)
        if fit.system == "fcc" and step.sum() % 2:  # back to the parity of fcc
            worst = np.argmax(np.abs(fraction - step))
            step[worst] += np.sign(fraction[worst] - step[worst]) or 1
        if fit.system != "fcc":
            step = 2 * np.rint(fraction / 2)
        found += [(R, t + step / 2 @ cell + move) for move in shell]
    return found


def _closest_points(xyz, reference, tree, R, t, gate):
    """Iterated closest points with trimming at the gate: (R, t, pairs matched one to one, rms)."""
    for _ in range(15):
        distance, index = tree.query(xyz @ R.T + t)
        use = _one_to_one(distance, index) & (distance < gate)
        if use.sum() < 4:
            break
        new_R, new_t = kabsch(xyz[use], reference[index[use]])
        still = np.abs(new_R - R).max() < 1e-10 and np.abs(new_t - t).max() < 1e-9
        R, t = new_R, new_t
        if still:
            break
    distance, index = tree.query(xyz @ R.T + t)
    use = _one_to_one(distance, index) & (distance < gate)
    rms = np.sqrt((distance[use] ** 2).mean()) if use.any() else np.nan
    return R, t, int(use.sum()), rms


def _one_to_one(distance, index):
    """(n,) bool: nearest of all that name the same partner."""
    order = np.lexsort((distance, index))
    first = np.ones(len(order), bool)
    first[1:] = index[order][1:] != index[order][:-1]
    keep = np.zeros(len(order), bool)
    keep[order[first]] = True
    return keep


def _motion(xyz, R, t, other_R, other_t):
    """Root mean square distance of the atoms between two placements."""
    return float(np.sqrt((((xyz @ R.T + t) - (xyz @ other_R.T + other_t)) ** 2).sum(1).mean()))
