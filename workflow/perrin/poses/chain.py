"""Continuity in time: the best path of orientations through a grid, exactly (Viterbi).

Random walk: an angle theta between neighbouring frames costs theta^2 / (2 sigma^2), sigma = step / sqrt(3)
about each axis for an rms step.
"""

import numba
import numpy as np

from perrin.imaging.grids import equivalents
from perrin.imaging.rotations import angles_between


@numba.njit(parallel=True, fastmath=True, cache=True)
def _forward(score, neighbour, cost, gap, back, value):
    """score (f, n + 1): its last column takes each frame's maximum; neighbour, cost (n, m) without gaps."""
    n, m = neighbour.shape
    new = np.empty(n, np.float32)
    for t in range(1, len(score)):
        scale = np.float32(1.0 / gap[t])
        for j in numba.prange(n):
            node, price = neighbour[j], cost[j]
            reached = np.empty(m, np.float32)
            best = np.float32(-1e30)
            for l in range(m):  # gather and maximum vectorise, a running argument would not
                reached[l] = value[node[l]] - price[l] * scale
                best = max(best, reached[l])
            l = 0
            while reached[l] != best:
                l += 1
            new[j] = best + score[t, j]
            back[t, j] = l
        # keep the numbers small: float32 has seven digits for thousands of frames
        top = new.max()
        value[:] = new - top
        score[t, n] = top


def viterbi(score, grid, step_deg, gap=None):
    """The most likely path of nodes and its log-likelihood.

    score : (f, n) float32, log L of frames and nodes
    grid : OrientationGrid
    step_deg : rms rotation between two frames
    gap : (f,) frames since the previous one in the stack (1 where none is missing)
    returns (f,) int nodes; log-likelihood of the path (without the constant of the random walk)
    """
    frames, n = score.shape
    sigma = np.radians(step_deg) / np.sqrt(3)
    missing = grid.neighbour < 0
    cost = np.where(missing, 1e9, np.square(grid.angle) / (2 * sigma**2)).astype(np.float32)
    neighbour = np.where(missing, np.arange(n)[:, None], grid.neighbour).astype(np.uint32)
    gap = np.ones(frames) if gap is None else np.asarray(gap, float)
    back = np.zeros((frames, n), np.uint8 if neighbour.shape[1] < 256 else np.uint16)
    work = np.empty((frames, n + 1), np.float32)
    work[:, :n] = score
    value = score[0].copy()
    start = float(value.max())
    value -= np.float32(start)
    _forward(work, neighbour, cost, gap, back, value)
    path = np.empty(frames, np.int64)
    path[-1] = int(np.argmax(value))
    for t in range(frames - 1, 0, -1):
        path[t - 1] = grid.neighbour[path[t], back[t, path[t]]]
    return path, start + float(work[1:, n].astype(float).sum())


def lift(rotation, group):
    """Follow a path of orientations known up to equivalence: each frame's equivalent nearest to the last one's.

    rotation : (f, 3, 3), returns (f, 3, 3)
    """
    out = np.array(rotation, float)
    for t in range(1, len(out)):
        candidates = equivalents(out[t], group)
        out[t] = candidates[np.argmin(angles_between(candidates, out[t - 1]))]
    return out


def rms_step_deg(rotation):
    """Root-mean-square angle between consecutive orientations, degrees; outliers above the 95th percentile cut."""
    angle = angles_between(rotation[1:], rotation[:-1])
    angle = angle[angle <= np.quantile(angle, 0.95)]
    # what the cut takes from a Maxwell distribution: sqrt(3 * 0.95 / (3 * P(chi2_5 < 7.815))) = 1.068
    return 1.068 * float(np.degrees(np.sqrt(np.mean(angle**2))))
