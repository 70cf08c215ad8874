"""Penetration depth: how far below the surface the coordination of the bulk begins. Several readings of
the word, by name.

The published method gives no formula. Ours (`plateau`) is the depth below the surface at which the
smoothed coordination number reaches 95 % of the plateau inside. Perfect crystals have a depth too, about
one layer: compare with `ideal`.
"""

import numpy as np
from scipy.optimize import least_squares

METHODS = ("plateau", "exponential", "step", "logistic", "first")
SMOOTHING_A = 0.8  # about a third of a layer of atoms
STEP_A = 0.05
CHUNK = 64  # points of the grid that are smoothed at once


def profile(depth_A, cn, weight=None, smoothing_A=SMOOTHING_A, grid_A=None):
    """(grid_A, mean, count): coordination against depth, smoothed by a Gaussian of smoothing_A.

    depth_A, cn : (n,); weight : (..., n) of the atoms, for resampling; count : atoms that bear on each
        point of the grid
    """
    weight = np.ones(len(depth_A)) if weight is None else np.asarray(weight, float)
    if grid_A is None:
        grid_A = np.arange(0, depth_A.max().round(6) + STEP_A, STEP_A)
    total = np.empty((*weight.shape[:-1], len(grid_A)))
    summed = np.empty_like(total)
    for first in range(0, len(grid_A), CHUNK):  # so that memory stays small
        part = slice(first, first + CHUNK)
        kernel = np.exp(-0.5 * ((depth_A[:, None] - grid_A[part]) / smoothing_A) ** 2)
        total[..., part] = weight @ kernel
        summed[..., part] = (weight * cn) @ kernel
    mean = np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 1e-6)
    return grid_A, mean, total


def plateau_depth(depth_A, cn, weight=None, reached=0.95, core_share=0.25, smoothing_A=SMOOTHING_A):
    """Depth at which the smoothed coordination first reaches `reached` of the plateau; (...,) like
    weight's leading axes.

    The plateau is the mean coordination of the deepest core_share of the atoms. 0 where the surface has
    reached it already, NaN where there is no depth (fewer than 5 atoms).

    >>> from perrin.states import coordination, surface
    >>> below, cn = surface.depths(xyz, 2.775), coordination.coordination_numbers(xyz, 3.34)
    >>> round(float(plateau_depth(below, cn)), 1)  # angstrom: one layer
    1.8
    """
    weight = np.ones(len(depth_A)) if weight is None else np.asarray(weight, float)
    known = np.isfinite(depth_A)
    if known.sum() < 5:
        return np.full(weight.shape[:-1], np.nan)
    depth_A, cn, weight = depth_A[known], cn[known], weight[..., known]
    grid, mean, total = profile(depth_A, cn, weight, smoothing_A)
    # the deepest share by weight, fractions of the last atom's included, so that ties do not matter
    core = depth_A >= np.quantile(depth_A, 1 - core_share) - 1e-9
    inner = weight[..., core].sum(-1)
    plateau = np.divide(
        (weight[..., core] * cn[core]).sum(-1), inner, out=np.full(inner.shape, np.nan), where=inner > 0
    )
    return _crossing(grid, mean, reached * plateau)


def _crossing(grid, mean, level):
    """First place where each curve (..., k) rises to its level, linear between points; the last place
    where it never does.
    """
    above = mean >= level[..., None]
    index = np.where(above.any(-1), above.argmax(-1), len(grid) - 1)
    before = np.maximum(index - 1, 0)
    low = np.take_along_axis(mean, before[..., None], -1)[..., 0]
    high = np.take_along_axis(mean, index[..., None], -1)[..., 0]
    rise = np.where(high > low, high - low, np.inf)
    share = np.clip(np.where(index > 0, (level - low) / rise, 0.0), 0, 1)
    share = np.where((index > 0) & ~np.isfinite(rise), 1.0, share)
    result = grid[before] + share * (grid[index] - grid[before])
    return np.where(np.isnan(level), np.nan, result)


def equivalent_radius(xyz):
    """Radius of the homogeneous ball with the same root mean square radius: sqrt(5/3) r_rms, angstrom."""
    return float(np.sqrt(5 / 3 * ((xyz - xyz.mean(0)) ** 2).sum(1).mean()))


def step_depth(radius_A, cn, surface_A):
    """Two levels, one break: the break r* that leaves the smallest squares; surface_A - r*."""
    order = np.argsort(radius_A, kind="stable")
    r, value = radius_A[order], cn[order].astype(float)
    n = len(r)
    if n < 4:
        return np.nan
    k = np.arange(1, n)
    total, square = np.cumsum(value), np.cumsum(value**2)
    loss = square[-1] - total[k - 1] ** 2 / k - (total[-1] - total[k - 1]) ** 2 / (n - k)
    loss[r[1:] - r[:-1] < 1e-6] = np.inf  # equal radii are not parted
    if not np.isfinite(loss).any():
        return np.nan
    best = int(np.argmin(loss))
    return float(surface_A - 0.5 * (r[best] + r[best + 1]))


def logistic_depth(radius_A, cn, surface_A):
    """(depth, width): lo + (hi - lo) / (1 + exp((r - r0) / w)) by least squares; surface_A - r0, and w, angstrom."""
    if len(cn) < 5:
        return np.nan, np.nan
    radius_A, cn = _alike(radius_A, cn)
    surface_A = float(np.round(surface_A, 9))

    def residual(p):
        return p[0] + (p[1] - p[0]) / (1 + np.exp(np.clip((radius_A - p[2]) / p[3], -50, 50))) - cn

    start = [6.0, 12.0, 0.8 * surface_A, 1.0]
    fit = least_squares(residual, start, bounds=([0, 6, 0, 0.05], [12, 13, 1.5 * surface_A + 0.1, 10.0]))
    return float(surface_A - fit.x[2]), float(fit.x[3])


def _alike(place_A, cn):
    """Both in an order of their own and to 1e-9 A: least squares then take the same steps however the particle lies."""
    place_A = place_A.round(9)
    order = np.lexsort((cn, place_A))
    return place_A[order], cn[order]


def exponential_depth(depth_A, cn):
    """Decay length of hi - (hi - lo) exp(-depth / length) by least squares, angstrom."""
    known = np.isfinite(depth_A)
    if known.sum() < 5:
        return np.nan
    depth_A, cn = _alike(depth_A[known], cn[known])

    def residual(p):
        return p[0] - (p[0] - p[1]) * np.exp(-depth_A / p[2]) - cn

    fit = least_squares(residual, [12.0, 6.0, 1.0], bounds=([6, 0, 0.01], [13, 12, 30.0]))
    return float(fit.x[2])


def first_depth(radius_A, cn, surface_A, bulk=12):
    """surface_A minus the smallest radius of an atom with less than the bulk's coordination: one vacancy
    inside destroys it.
    """
    below = cn < bulk
    return float(surface_A - radius_A[below].min()) if below.any() else 0.0


def all_depths(xyz, cn, depth_A, bulk=12):
    """{method: depth in angstrom} for METHODS, and logistic_width. Radial ones count from the equivalent radius."""
    radius = np.linalg.norm(xyz - xyz.mean(0), axis=1)
    surface = equivalent_radius(xyz)
    logistic, width = logistic_depth(radius, cn, surface)
    return {
        "plateau": float(plateau_depth(depth_A, cn)),
        "exponential": exponential_depth(depth_A, cn),
        "step": step_depth(radius, cn, surface),
        "logistic": logistic,
        "logistic_width": width,
        "first": first_depth(radius, cn, surface, bulk),
    }
