"""The life of one site: exact paths, thresholds that hold, intervals that cover."""

import itertools

import numpy as np
import pytest

from perrin.windows.lives import (
    MOST_CHANGES,
    Thresholds,
    _best_paths,
    best_life,
    best_step,
    changes_of,
    date,
    shortest_interval,
    thresholds,
)


def planted(path, information, rng):
    """Log-likelihood ratios of a site with a known life: N(+-I/2, I)."""
    mean = np.where(path, 0.5, -0.5) * information
    return mean + np.sqrt(information) * rng.standard_normal(path.shape)


def test_paths_with_k_changes_are_the_best_of_all():
    """Would catch an error of the dynamic programme: every path of 9 frames is tried by brute force."""
    rng = np.random.default_rng(0)
    every = np.array(list(itertools.product([False, True], repeat=9)))
    changes = np.abs(np.diff(every.astype(int), axis=1)).sum(1)
    for _ in range(20):
        ratio = rng.normal(0, 1, 9)
        values, paths = _best_paths(ratio, MOST_CHANGES)
        sums = every @ ratio
        for k in range(MOST_CHANGES + 1):
            assert np.isclose(values[k], sums[changes == k].max())
            assert len(changes_of(paths[k])) == k and np.isclose(paths[k] @ ratio, values[k])


def test_best_step_is_the_best_path_with_one_change():
    """Would catch an off-by-one of the step or a wrong constant alternative."""
    rng = np.random.default_rng(1)
    for _ in range(50):
        ratio = rng.normal(0, 2, 40)
        change, value = best_step(ratio)
        values, paths = _best_paths(ratio, 1)
        assert np.isclose(value, values[1] - values[0])
        assert changes_of(paths[1])[0] == abs(change) and paths[1][0] == (change > 0)


def test_chance_changes_stay_below_the_martingale_bound():
    """Would catch a threshold that lets chance through: P(gain > x) <= 2 exp(-x) for any length of movie."""
    rng = np.random.default_rng(2)
    for frames in (100, 1000):
        gains = np.array([best_step(planted(np.ones(frames, bool), 2.0, rng))[1] for _ in range(3000)])
        for x in (2.0, 4.0):
            assert (gains > x).mean() <= 2 * np.exp(-x)
        assert (gains > 2.0).mean() > 0.01  # and the bound is not empty


def test_no_false_life_at_the_stated_rate():
    """Would catch visits that are cheaper than chance: 20 movies of 100 sites, at 0.5 false events a movie."""
    rng = np.random.default_rng(3)
    limits = thresholds(100, 500, false_alarm=0.5, inflation=1.0)
    false = 0
    for j in range(2000):
        ratio = planted(np.full(500, j % 2 == 0), 2.0, rng)
        path, gain = best_life(ratio, limits)
        false += len(changes_of(path)) > 0
        assert gain >= 0
    assert false <= 10 + 3 * np.sqrt(10)


@pytest.mark.parametrize("information", [0.3, 1.5, 3.0, 6.0])
def test_chance_visits_come_at_most_as_often_as_stated(information):
    """Would catch a wrong price of a visit: white evidence makes them as a cumulative-sum chart does, a fifth of it."""
    rng = np.random.default_rng(9)
    ratio = planted(np.zeros((4000, 400), bool), information, rng)
    total = np.concatenate([np.zeros((4000, 1)), np.cumsum(ratio, axis=1)], axis=1)
    best = (total - np.minimum.accumulate(total, axis=1)).max(1)
    for price in (0.1, 0.5):
        rate = -np.log1p(-(best > thresholds(1, 400, price, 1.0).pair).mean())
        theory = price * information / 2 * np.exp(-1.166 * np.sqrt(information))
        assert rate == pytest.approx(theory, abs=4 * np.sqrt(theory / 4000) + 0.15 * theory)
        assert rate < 0.25 * price


def test_dates_are_sharp_and_intervals_cover():
    """Would catch a biased date or an interval of the wrong level: 95 % within 3 %, median error one frame."""
    rng = np.random.default_rng(4)
    errors, inside = [], []
    for trial in range(1500):
        true = 60 + trial % 80
        path = np.arange(200) < true
        leaves = trial % 2 == 0
        ratio = planted(path == leaves, 2.0, rng)
        found, _ = best_life(ratio, Thresholds(12.0, 20.0, 1.0))
        assert len(changes_of(found)) == 1 and found[0] == leaves
        at, low, high, nats = date(ratio, found, changes_of(found)[0], inflation=1.0)
        errors.append(abs(at - true))
        inside.append(low <= true <= high)
        assert low <= at <= high and nats > 12
    assert np.median(errors) <= 1
    assert 0.93 <= np.mean(inside) <= 0.99  # whole frames: never less than the level by more than chance


def test_the_shortest_interval_is_the_best_of_all():
    """Would catch a span of scattered likely frames instead of the shortest stretch: all stretches are tried."""
    rng = np.random.default_rng(7)
    assert shortest_interval([0.5, 0.01, 0.01, 0.03, 0.45], 0.9) == (0, 4)
    assert shortest_interval([1.0, 1.0, 1.0], 1.0) == (0, 2)
    assert shortest_interval([0.02, 0.96, 0.02], 0.95) == (1, 1)
    for _ in range(200):
        weight = rng.exponential(size=9) ** 3
        level = rng.uniform(0.3, 0.99)
        held = {
            (a, z): weight[a : z + 1].sum() / weight.sum()
            for a in range(9)
            for z in range(a, 9)
            if weight[a : z + 1].sum() / weight.sum() >= level
        }
        short = min(z - a for a, z in held)
        best = max((pair for pair in held if pair[1] - pair[0] == short), key=held.get)
        assert shortest_interval(weight, level) == best


def test_intervals_hold_what_they_say_where_the_evidence_is_weak():
    """Would catch intervals that hold more than they promise: the span of the likeliest frames holds 98 %."""
    rng = np.random.default_rng(8)
    path, inside = np.arange(160) < 80, []
    for _ in range(1200):
        at, low, high, _ = date(planted(path, 0.8, rng), path, 80, inflation=1.0)
        inside.append(low <= 80 <= high)
        assert low <= at <= high
    assert 0.935 <= np.mean(inside) <= 0.967


def test_a_visit_is_found_when_it_is_long_enough():
    """Would catch a lost or mistaken visit: 40 frames of one nat are found, edges to 3 frames; 6 frames are not."""
    rng = np.random.default_rng(5)
    limits = thresholds(400, 1000, 0.01, 1.0)
    for length, expected in [(40, 1.0), (6, 0.0)]:
        path = (np.arange(1000) >= 500) & (np.arange(1000) < 500 + length)
        found = []
        for _ in range(40):
            life, _ = best_life(planted(path, 2.0, rng), limits)
            changes = changes_of(life)
            found.append(len(changes) == 2)
            if len(changes) == 2 and length == 40:
                assert np.abs(changes - [500, 540]).max() <= 10
        assert abs(np.mean(found) - expected) <= 0.1
