"""Windows of time by exact dynamic programming, and what each boundary is worth.

A window holds every site either taken or empty. With L_j(t) the summed log-likelihood ratio of site j, the frames
a..b in one window are worth sum_j max(L_j(b) - L_j(a), 0); every further window costs a penalty. Sites cannot take
part by halves, so an atom whose strength depends on the view makes no boundary.
"""

from dataclasses import dataclass

import numba
import numpy as np

from perrin.windows.lives import date

MOST_EDGES = 600  # of the grid of the first search; boundaries are placed to the frame afterwards
USUAL = 1.45  # variance of evidence summed over a view, over that of white noise: of good poses at 2.5 degrees a frame
SHARE = 0.75  # of the information of a lone atom that is left on average beside overlapping neighbours


@dataclass(frozen=True)
class Boundary:
    """One boundary between windows; indices count accepted frames.

    at : first index after it; low, high : interval; gain : nats that it is worth, together with both windows whole
    left, arrived : sites that changed for certain; together : of these, how many may have changed at one moment
    """

    at: int
    low: int
    high: int
    gain: float
    left: np.ndarray
    arrived: np.ndarray
    together: int

    @property
    def changed(self):
        """Number of sites that changed."""
        return len(self.left) + len(self.arrived)


def penalty_nats(information, min_frames, least_atoms, threshold, persistence=1.0):
    """What a boundary must gain: that of the least number of atoms over the shortest window, never less than chance.

    A step of so many atoms, as far as a shortest window from the next boundary, always pays for itself; in gradual
    loss of r atoms a frame windows become 2 sqrt(least_atoms min_frames / r) frames long, or the shortest allowed.
    Where errors last longer than is usual they add up to as much more, and so much more is asked for.
    information : (f,) of one atom in every frame; persistence : of atoms, see `perrin.windows.evidence.Evidence`
    """
    half = SHARE * float(np.mean(information)) / 2
    return least_atoms * max(min_frames * half * max(persistence / USUAL, 1.0), threshold)


def segment_lives(ratios, min_frames, penalty):
    """First indices of the best windows (the first is 0).

    ratios : (f, n) log-likelihood ratios; min_frames : of a window
    """
    frames = len(ratios)
    if frames < 2 * min_frames:
        return [0]
    total = cumulative(ratios)
    edges = np.unique(np.linspace(0, frames, min(frames, MOST_EDGES) + 1).round().astype(np.int64))
    came = _optimal_partition(np.ascontiguousarray(total[edges]), edges, min_frames, penalty)
    firsts, at = [], len(edges) - 1
    while at > 0:
        at = came[at]
        firsts.append(int(edges[at]))
    return place(total, firsts[::-1], min_frames)


def cumulative(ratios):
    """(f + 1, n) sums of everything before each index."""
    total = np.zeros((len(ratios) + 1, ratios.shape[1]))
    np.cumsum(ratios, axis=0, dtype=np.float64, out=total[1:])
    return total


def place(total, firsts, min_frames, turns=2):
    """Move each boundary to its best frame between its neighbours, others fixed."""
    firsts = [*firsts, len(total) - 1]
    for _ in range(turns):
        for w in range(1, len(firsts) - 1):
            low, high = firsts[w - 1] + min_frames, firsts[w + 1] - min_frames
            if low <= high:
                worth = split_worth(total, firsts[w - 1], firsts[w + 1])
                firsts[w] = low + int(np.argmax(worth[low - firsts[w - 1] : high - firsts[w - 1] + 1]))
    return firsts[:-1]


def split_worth(total, first, stop):
    """(stop - first + 1,) nats that a boundary before each index would gain over none."""
    inside = total[first : stop + 1] - total[first]
    worth = np.maximum(inside, 0).sum(1) + np.maximum(inside[-1] - inside, 0).sum(1)
    return worth - np.maximum(inside[-1], 0).sum()


def judge(ratios, firsts, threshold, least_atoms, inflation):
    """Test all boundaries; the weakest of those that too few atoms support is taken away until none is.

    threshold : nats that must speak for an atom's state on either side
    returns list of Boundary, list of boundaries taken away
    """
    total = cumulative(ratios)
    firsts, gone = list(firsts), []
    while True:
        found = [
            boundary(ratios, total, *ends, threshold, inflation)
            for ends in zip(firsts[:-1], firsts[1:], [*firsts[2:], len(ratios)])
        ]
        weak = [one for one in found if one.changed < least_atoms]
        if not weak:
            return found, gone
        weakest = min(weak, key=lambda one: one.gain)
        gone.append(weakest)
        firsts.remove(weakest.at)


def boundary(ratios, total, first, at, stop, threshold, inflation):
    """The Boundary at an index between two windows: what changed, and its interval.

    Where most atoms may have changed at one moment the interval is that of their common date, else it is the
    span of their own dates (95 % of them).
    """
    before, after = total[at] - total[first], total[stop] - total[at]
    left = np.flatnonzero((before > threshold) & (after < -threshold))
    arrived = np.flatnonzero((before < -threshold) & (after > threshold))
    gain = float(split_worth(total, first, stop)[at - first])
    changed = np.concatenate([left, arrived])
    if not len(changed):
        return Boundary(at, at, at, gain, left, arrived, 0)
    sign = np.concatenate([np.ones(len(left)), -np.ones(len(arrived))])
    signed = ratios[first:stop][:, changed] * sign
    step = np.arange(stop - first) < at - first
    own = [date(column, step, at - first, inflation) for column in signed.T]
    joint = date(signed.sum(1), step, at - first, inflation)
    with_it = np.array([low - 2 <= joint[0] <= high + 2 for _, low, high, _ in own])
    if 2 * with_it.sum() >= len(changed):
        best, low, high, _ = date(signed[:, with_it].sum(1), step, at - first, inflation)
    else:
        dates = np.array([one[0] for one in own])
        low, high = (int(value) for value in np.quantile(dates, [0.025, 0.975]))
    low, high = min(first + low, at), max(first + high, at)
    return Boundary(at, low, high, gain, left, arrived, int(with_it.sum()))


@numba.njit(parallel=True, cache=True)
def _worths(total, stop, lowest, out):
    for first in numba.prange(lowest + 1):
        worth = 0.0
        for j in range(total.shape[1]):
            gain = total[stop, j] - total[first, j]
            if gain > 0:
                worth += gain
        out[first] = worth


def _optimal_partition(total, edges, min_frames, penalty):
    """Predecessor of each edge in the best partition."""
    count = len(edges)
    value = np.full(count, -np.inf)
    value[0] = 0.0
    came = np.zeros(count, np.int64)
    worth = np.empty(count)
    for stop in range(1, count):
        lowest = int(np.searchsorted(edges, edges[stop] - min_frames, side="right")) - 1
        if lowest < 0:
            continue
        _worths(total, stop, lowest, worth)
        scores = value[: lowest + 1] + worth[: lowest + 1] - penalty
        came[stop] = int(np.argmax(scores))
        value[stop] = scores[came[stop]]
    return came
