"""Continuity in time: the best path of orientations through a grid, exactly (Viterbi).

Random walk: an angle theta between neighbouring frames costs theta^2 / (2 sigma^2), sigma = step / sqrt(3)
about each axis for an rms step.
"""

import numba
import numpy as np

from perrin.imaging.grids import equivalents
from perrin.imaging.rotations import angles_between


@numba.njit(parallel=True, fastmath=True, cache=True)
def _forward(score, neighbour, cost, gap, back, value, top):
    """value (n,): of the frame before, becomes the last frame's; top (f,) takes each frame's maximum."""
    n, m = neighbour.shape
    new = np.empty(n, np.float32)
    for t in range(len(score)):
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
        top[t] = new.max()
        value[:] = new - top[t]


def viterbi(scores, grid, step_deg, gap=None):
    """The most likely path of nodes and its log-likelihood.

    scores : iterable of (f, n) float32, log L of consecutive frames and nodes: one array after another is used up,
        what is kept is one byte a frame and node
    grid : OrientationGrid
    step_deg : rms rotation between two frames
    gap : (f,) of all frames, since the previous one in the stack (1 where none is missing)
    returns (f,) int nodes; log-likelihood of the path (without the constant of the random walk)
    """
    sigma = np.radians(step_deg) / np.sqrt(3)
    missing = grid.neighbour < 0
    n, m = grid.neighbour.shape
    cost = np.where(missing, 1e9, np.square(grid.angle) / (2 * sigma**2)).astype(np.float32)
    neighbour = np.where(missing, np.arange(n)[:, None], grid.neighbour).astype(np.uint32)
    value, total, done, back = None, 0.0, 0, []
    for score in scores:
        steps = np.ones(len(score)) if gap is None else np.asarray(gap[done : done + len(score)], float)
        done += len(score)
        if value is None:
            value = score[0].copy()
            total = float(value.max())
            value -= np.float32(total)
            score, steps = score[1:], steps[1:]
        came = np.zeros((len(score), n), np.uint8 if m < 256 else np.uint16)
        top = np.zeros(len(score), np.float32)
        _forward(score, neighbour, cost, steps, came, value, top)
        back.append(came)
        total += float(top.astype(float).sum())
    path = np.empty(done, np.int64)
    path[-1] = int(np.argmax(value))
    t = done - 1
    for came in reversed(back):
        for row in came[::-1]:
            path[t - 1] = grid.neighbour[path[t], row[path[t]]]
            t -= 1
    return path, total


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
