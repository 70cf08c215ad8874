"""Windows as published: steps of the correlation between frames and the time-averaged map, read off a program.

In the paper a person reads them off a plot. Here the curve, averaged over some frames, is cut into stretches of
constant mean by exact dynamic programming on squared deviations; a boundary must gain more than pieces of the curve
in random order do. The curve is not corrected for the view, which moves it more than atoms do: it is there to
compare with.
"""

import numpy as np

BLOCK = 10  # frames averaged before the curve is cut
PIECE = 50  # frames kept together when the curve's pieces change places


def correlation_steps(number, correlation, min_frames, false_alarm, seed):
    """First frames of the windows by the published curve.

    number (f,): frames; correlation (f,): NaN where there is none; false_alarm : probability of a false boundary
    returns list of (first_frame, low, high, reason), the first one the trajectory's start, and a record
    """
    start = (int(number[0]), int(number[0]), int(number[0]), "start of the trajectory")
    good = np.flatnonzero(np.isfinite(correlation))
    least = max(1, -(-min_frames // BLOCK))
    if len(good) // BLOCK < 2 * least:
        return [start], {"why": f"{len(good)} frames are too few for two windows of {min_frames}"}
    blocks = np.array_split(good, len(good) // BLOCK)
    curve = np.array([correlation[block].mean() for block in blocks])
    penalty = chance_penalty(curve, PIECE / BLOCK, least, false_alarm, seed)
    steps = [
        (
            int(number[blocks[i][0]]),
            int(number[blocks[i - 1][0]]),
            int(number[blocks[i][-1]]),
            "the correlation with the time-averaged map steps",
        )
        for i in best_means(curve, least, penalty)[1:]
    ]
    return [start, *steps], {"why": f"{len(steps)} steps of the correlation curve", "penalty": penalty}


def best_means(curve, min_blocks, penalty):
    """Segments of constant mean of one curve by the same dynamic programme on squared deviations: first indices."""
    count = len(curve)
    total = np.concatenate([[0], np.cumsum(curve)])
    value = np.full(count + 1, -np.inf)
    value[0] = 0
    came = np.zeros(count + 1, int)
    for stop in range(min_blocks, count + 1):
        first = np.arange(0, stop - min_blocks + 1)
        worth = value[first] + (total[stop] - total[first]) ** 2 / (stop - first) - penalty
        came[stop] = int(np.argmax(worth))
        value[stop] = worth[came[stop]]
    firsts, at = [], count
    while at > 0:
        at = int(came[at])
        firsts.append(at)
    return firsts[::-1]


def split_gains(curve):
    """(n - 1,) fall of the squared deviations by one boundary before index 1, 2, ..."""
    total = np.cumsum(curve)
    at = np.arange(1, len(curve))
    away = total[:-1] - total[-1] * at / len(curve)
    return away**2 * len(curve) / (at * (len(curve) - at))


def chance_penalty(curve, piece, min_blocks, false_alarm, seed, draws=1000):
    """What one boundary gains by chance, at the level of false alarms: pieces of the curve in random order.

    curve : (n,); piece : length of the pieces, longer than what correlates the curve without change
    """
    rng = np.random.default_rng(seed)
    pieces = np.array_split(curve, max(2, round(len(curve) / piece)))
    best = np.zeros(draws)
    for draw in range(draws):
        mixed = np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])
        gains = split_gains(mixed)[min_blocks - 1 : len(curve) - min_blocks]
        best[draw] = gains.max(initial=0.0)
    # a curve without any noise has no chance gains: rounding errors are no steps
    return float(max(np.quantile(best, 1 - false_alarm), 1e-9 * np.sum(curve**2)))
