"""Intervals by repetition: atoms drawn within their errors, drawn to exist or not, and resampled."""

import numpy as np


def centred_interval(estimate, draws, level=0.95):
    """(low, high) about an estimate: the spread of the draws about their own mean, moved to the estimate.

    Drawing anew around positions that have errors already adds the error a second time, which shifts some statistics
    (coordination numbers fall); the shift is no part of the uncertainty. NaN without finite draws.
    """
    draws = np.asarray(draws, float)
    draws = draws[np.isfinite(draws)]
    if len(draws) < 2 or not np.isfinite(estimate):
        return np.nan, np.nan
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]) - draws.mean()
    return float(estimate + min(low, 0.0)), float(estimate + max(high, 0.0))


def draw_positions(xyz, covariance_A2, rng, count, axes=None, place=None):
    """Yield count sets of positions (n, 3), each atom moved within its covariance (where known; elsewhere it stays).

    axes : (3, 3) rows along which the random numbers count; place : (n,) of each atom in the order of the draws. With
    axes and an order of the particle's own, the draws turn with it.
    """
    axes = np.eye(3) if axes is None else axes
    place = slice(None) if place is None else place
    covariance = axes @ np.where(np.isfinite(covariance_A2), covariance_A2, 0.0) @ axes.T
    value, vector = np.linalg.eigh(covariance)
    root = (vector * np.sqrt(value.clip(0))[:, None, :]) @ vector.transpose(
        0, 2, 1
    )  # the symmetric one is unique
    for _ in range(count):
        yield xyz + np.einsum("nij,nj->ni", root, rng.standard_normal(xyz.shape)[place]) @ axes


def draw_presence(probability, rng, count):
    """(count, n) bool: which atoms exist, each by its own probability."""
    probability = np.where(np.isfinite(probability), probability, 1.0)
    return rng.random((count, len(probability))) < probability


def resampling_weights(n, rng, count):
    """(count, n) how often each of n items occurs in each bootstrap sample."""
    return rng.multinomial(n, np.full(n, 1 / n), size=count).astype(float) if n else np.zeros((count, 0))


def mean_interval(values, rng, level=0.95, count=1000):
    """(low, high) of the mean of values by the percentile bootstrap."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return np.nan, np.nan
    means = resampling_weights(len(values), rng, count) @ values / len(values)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def normal_quantile(level):
    """How many standard deviations a two-sided interval of this level reaches."""
    from scipy.stats import norm

    return float(norm.ppf(0.5 + level / 2))
