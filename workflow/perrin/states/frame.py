"""Axes and an order that belong to the particle itself, so that no result hangs on how a file turns or lists its atoms.

Searches and random draws run along these axes and in this order; results then agree to rounding however the particle
lies.
"""

from itertools import product

import numpy as np

from perrin.imaging import lattice

POWERS = [p for p in product(range(7), repeat=3) if 2 <= sum(p) <= 6]
DIGITS = 7


def principal_frame(xyz):
    """(3, 3) rows: axes of the atoms, right-handed, that turn with them.

    The principal axes, longest first, senses by third moments; where moments are equal, as in perfect clusters, axes
    through the atoms furthest from the middle.
    """
    offset = xyz - xyz.mean(0)
    value, vector = np.linalg.eigh(offset.T @ offset)
    if np.diff(value).min() < 1e-6 * value[-1]:
        return _by_moments(offset, _through_corners(offset))
    axes = vector[:, ::-1].T.copy()
    for k in (0, 1):
        if ((offset @ axes[k]) ** 3).sum() < 0:
            axes[k] *= -1
    axes[2] = np.cross(axes[0], axes[1])
    return axes


def crystal_frame(xyz, rotation, system):
    """(3, 3) rows: the crystal's axes in the body frame, of the equivalent choices the one that moments single out.

    rotation : (3, 3) from the ideal cell's axes to the body
    """
    return _by_moments(xyz - xyz.mean(0), [(rotation @ turn).T for turn in lattice.rotation_group(system)])


def _by_moments(offset, choices):
    """Of several axes (3, 3) the ones with the largest moments of order 2 to 6, compared one after the other.

    Choices whose moments are all equal are alike by the particle's own symmetry.
    """
    scale = np.sqrt((offset**2).mean()) or 1.0
    best, chosen = None, np.eye(3)
    for axes in choices:
        power = [np.ones((3, len(offset)))]
        for _ in range(6):
            power.append(power[-1] * (axes @ offset.T) / scale)
        key = [np.mean(power[a][0] * power[b][1] * power[c][2]) for a, b, c in POWERS]
        key = tuple(np.round(key, DIGITS) + 0.0)
        if best is None or key > best:
            best, chosen = key, axes
    return chosen


def _through_corners(offset, alike=1e-6):
    """Axes through one of the furthest atoms and the furthest beside it, for every such pair."""
    length = np.linalg.norm(offset, axis=1)
    found, best = [], (-1.0, -np.inf)
    for first in np.flatnonzero(length > length.max() - alike):
        unit = offset[first] / max(length[first], 1e-12)
        along = offset @ unit
        beside = np.linalg.norm(offset - along[:, None] * unit, axis=1) > 0.1 * length.max()
        if not beside.any():
            continue
        far = length[beside].max()
        beside &= length > far - alike
        near = along[beside].max()
        if far < best[0] - alike or (far < best[0] + alike and near < best[1] - alike):
            continue
        if not (abs(far - best[0]) < alike and abs(near - best[1]) < alike):
            found, best = [], (far, near)
        for second in np.flatnonzero(beside & (along > near - alike)):
            y = offset[second] - along[second] * unit
            y /= np.linalg.norm(y)
            found.append(np.stack([unit, y, np.cross(unit, y)]))
    return found


def intrinsic_order(xyz, axes, *scalars):
    """(n,) order of the atoms by scalars (each (n,)) that all see alike, then by place along the axes (rows)."""
    place = (xyz - xyz.mean(0)) @ axes.T + 0.123456789 * 10**-DIGITS
    keys = [np.round(place[:, k], DIGITS - 1) for k in (2, 1, 0)]
    return np.lexsort((*keys, *(np.round(np.nan_to_num(s, nan=-1.0), DIGITS - 1) for s in reversed(scalars))))
