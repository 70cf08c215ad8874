"""Rates between states: atoms per second, gained, lost and net, with intervals."""

import numpy as np
from scipy.stats import gamma


def poisson_interval(count, level=0.95):
    """(low, high) of a Poisson mean, exact (Garwood 1936), for a count that need not be whole.

    >>> [round(float(end), 2) for end in poisson_interval(5)]
    [1.62, 11.67]
    """
    tail = (1 - level) / 2
    low = gamma.ppf(tail, count) if count > 0 else 0.0
    return float(low), float(gamma.ppf(1 - tail, count + 1))


def net_interval(gained, lost, rng, level=0.95, draws=20000):
    """(low, high) of the difference of two Poisson means, by draws from their posteriors (Jeffreys' prior)."""
    difference = rng.gamma(gained + 0.5, size=draws) - rng.gamma(lost + 0.5, size=draws)
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    net = gained - lost
    return float(min(low, net)), float(max(high, net))


def rate_row(gained, lost, seconds, rng, level=0.95):
    """{name: value} of one pair of states: association, dissociation and net rate, atoms/s, with intervals.

    gained, lost : numbers of atoms, sums of probabilities allowed
    seconds : between the windows' centres (the paper's time stamps, by assumption)
    The intervals are those of the rate of a process that counts at random, given these counts.
    """
    row = {}
    for name, count in (("association", gained), ("dissociation", lost)):
        low, high = poisson_interval(count, level)
        row |= {f"{name}_per_s": count / seconds, f"{name}_per_s_low": low / seconds}
        row[f"{name}_per_s_high"] = high / seconds
    low, high = net_interval(gained, lost, rng, level)
    return row | {
        "net_per_s": (gained - lost) / seconds,
        "net_per_s_low": low / seconds,
        "net_per_s_high": high / seconds,
    }
