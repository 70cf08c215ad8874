"""The life of one site from its log-likelihood ratios: when it was taken, when it was empty, and how sure that is.

l_f is the log-likelihood ratio of presence against absence in frame f. A life is a path of 0 and 1; its
log-likelihood is the sum of l over the frames in which it is 1. The best path with k changes is found exactly. In a
movie without change exp(-sum l) is a martingale, so that by Ville's inequality one change gains more than x nats by
chance with probability below exp(-x), whatever the length of the movie: the thresholds below need no tuning.
"""

from dataclasses import dataclass

import numba
import numpy as np

MOST_CHANGES = 4


@dataclass(frozen=True)
class Thresholds:
    """Nats that a life with changes must gain over one without; inflation divides all evidence.

    one : for a single change; pair : for each pair of changes (a visit, an absence)
    """

    one: float
    pair: float
    inflation: float

    def penalty(self, changes):
        """Of a path with so many changes, in nats of evidence."""
        return self.inflation * (self.pair * (changes // 2) + self.one * (changes % 2))


def thresholds(sites, frames, false_alarm, inflation):
    """Bonferroni over sites and directions; a pair of changes may begin in any frame.

    For pairs the bound is five times what white evidence does at most, I/2 exp(-1.166 sqrt(I)) <= 0.2 a frame for
    information I (the rate of a cumulative-sum chart; Siegmund, Sequential Analysis, 1985). It is not sharpened:
    errors of poses last for some frames, and sums over a visit scatter more than white evidence.

    false_alarm : expected number of false events in a movie
    inflation : variance of the evidence over that of white noise; divides every log-likelihood
    """
    one = np.log(2 * sites / false_alarm)
    return Thresholds(float(one), float(max(one, np.log(sites * max(frames, 1) / false_alarm))), inflation)


def best_life(ratio, limits):
    """The most probable life of a site that pays for its changes.

    ratio : (f,) l; limits : Thresholds
    returns path (f,) bool, gain in nats over the best life without change, less its penalty (0 without a change)
    """
    ratio = np.asarray(ratio, np.float64)
    path, gain = np.full(len(ratio), ratio.sum() > 0), 0.0
    change, value = best_step(ratio)
    if value > limits.penalty(1):
        gain = value - limits.penalty(1)
        before = np.arange(len(ratio)) < abs(change)
        path = before if change > 0 else ~before
    values, several = _best_paths(ratio, MOST_CHANGES)
    for k in range(MOST_CHANGES, 1, -1):
        # more changes must pay against every life with fewer, for as many as they are more
        if all(values[k] - values[fewer] > limits.penalty(k - fewer) for fewer in range(k)):
            return several[k], float(values[k] - values[0] - limits.penalty(k))
    return path, float(gain)


def best_step(ratio):
    """(t, value): the single change that gains most over no change.

    t > 0: present before index t, absent from it; t < 0: absent before |t|, present from it
    """
    total = np.cumsum(ratio)
    if len(total) < 2:
        return 1, -np.inf
    inside = total[:-1]
    constant = max(total[-1], 0.0)
    leave, arrive = int(np.argmax(inside)), int(np.argmin(inside))
    left, arrived = inside[leave] - constant, total[-1] - inside[arrive] - constant
    return (leave + 1, float(left)) if left >= arrived else (-(arrive + 1), float(arrived))


def changes_of(path):
    """Indices at which a life changes (the first frame of what follows)."""
    return np.flatnonzero(np.diff(np.asarray(path, np.int8))) + 1


def runs_of(path):
    """(first, stop) of each stretch in which a path (f,) bool is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(path, np.int8), [0]])))
    return [(int(a), int(z)) for a, z in zip(edges[::2], edges[1::2])]


def date(ratio, path, change, inflation, level=0.95):
    """Interval of one change of a life, and what it gains.

    ratio : (f,) l; path : (f,) bool; change : index in changes_of(path)
    inflation : divides the log-likelihoods
    returns (best, low, high, nats): indices of the first frame of the new state, the shortest interval that
    holds the level of the probability, and the nats by which the weaker side speaks for the change
    """
    changes = changes_of(path)
    at = int(np.searchsorted(changes, change))
    first = int(changes[at - 1]) if at > 0 else 0
    stop = int(changes[at + 1]) if at + 1 < len(changes) else len(path)
    sign = 1.0 if path[change - 1] else -1.0
    total = np.cumsum(sign * np.asarray(ratio[first:stop], float))
    inside = total[:-1]  # change at first + 1 + i
    best = int(np.argmax(inside))
    nats = min(inside[best], inside[best] - total[-1])
    low, high = shortest_interval(np.exp((inside - inside[best]) / inflation), level)
    return first + 1 + best, first + 1 + min(low, best), first + 1 + max(high, best), float(nats)


def shortest_interval(weight, level):
    """First and last index of the shortest stretch that holds `level` of the weight; of several, the heaviest.

    The likeliest frames need not be neighbours, and their span would hold more than was asked.
    """
    total = np.concatenate([[0], np.cumsum(weight / np.sum(weight))])
    # rounding must not make a stretch that holds all a frame too long
    last = np.searchsorted(total, total[:-1] + min(level, total[-1]) - 1e-12) - 1
    first = np.flatnonzero(last < len(weight))
    last = last[first]
    held = total[last + 1] - total[first]
    best = np.lexsort((-held, last - first))[0]
    return int(first[best]), int(last[best])


@numba.njit(cache=True)
def _best_paths(ratio, most):
    """Log-likelihood of the best paths with 0..most changes, and the paths themselves (most + 1, f)."""
    frames = len(ratio)
    # value[k, s]: best sum up to now of a path with k changes that is now in state s
    value = np.full((most + 1, 2), -np.inf)
    came = np.zeros((frames, most + 1, 2), np.bool_)  # whether the path changed at this frame
    value[0, 0] = 0.0
    value[0, 1] = ratio[0]
    for f in range(1, frames):
        for k in range(most, -1, -1):
            stay0, stay1 = value[k, 0], value[k, 1]
            if k > 0:
                turn0, turn1 = value[k - 1, 1], value[k - 1, 0]
            else:
                turn0 = turn1 = -np.inf
            came[f, k, 0] = turn0 > stay0
            came[f, k, 1] = turn1 > stay1
            value[k, 0] = max(stay0, turn0)
            value[k, 1] = max(stay1, turn1) + ratio[f]
    values = np.empty(most + 1)
    paths = np.zeros((most + 1, frames), np.bool_)
    for k in range(most + 1):
        s = 1 if value[k, 1] > value[k, 0] else 0
        values[k] = value[k, s]
        c = k
        for f in range(frames - 1, -1, -1):
            paths[k, f] = s == 1
            if f > 0 and came[f, c, s]:
                s = 1 - s
                c -= 1
    return values, paths
