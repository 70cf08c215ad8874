"""Rates with their intervals; kinds of dynamics as the paper describes them."""

import numpy as np
import pytest
from scipy.stats import poisson

from perrin.states import bootstrap, categories, rates


def test_poisson_interval_is_exact():
    """Would catch a tail too many: known intervals, and the defining property of the ends."""
    assert rates.poisson_interval(0) == pytest.approx((0, 3.68888), abs=1e-4)
    assert rates.poisson_interval(10) == pytest.approx((4.79539, 18.39036), abs=1e-4)
    low, high = rates.poisson_interval(28)
    assert poisson.sf(27, low) == pytest.approx(0.025)
    assert poisson.cdf(28, high) == pytest.approx(0.025)


def test_net_rate_covers():
    """Would catch an interval too narrow: 95 % of repetitions hold the true difference."""
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        gained, lost = rng.poisson(5), rng.poisson(20)
        low, high = rates.net_interval(gained, lost, rng, draws=4000)
        inside += low <= -15 <= high
    assert 0.915 <= inside / 300 <= 0.985


def test_rates_of_the_paper():
    """Would catch another time than between middles: 174 atoms in 9 s are 19.3 per second."""
    row = rates.rate_row(0, 174, 9.0, np.random.default_rng(0))
    assert row["net_per_s"] == pytest.approx(-19.33, abs=0.01)
    assert row["net_per_s"] == row["association_per_s"] - row["dissociation_per_s"]
    assert row["net_per_s_low"] < row["net_per_s"] < row["net_per_s_high"]


def test_centred_interval_removes_the_shift_of_drawing_twice():
    """Would catch an interval that does not hold its own estimate."""
    draws = np.random.default_rng(0).normal(0.60, 0.01, 4000)
    low, high = bootstrap.centred_interval(0.65, draws)
    assert (low, high) == pytest.approx((0.65 - 0.0196, 0.65 + 0.0196), abs=1e-3)
    assert np.isnan(bootstrap.centred_interval(0.65, [])).all()


@pytest.mark.parametrize(
    "series, turns",
    [
        ([0.6, 0.58, 0.56, 0.54], 0),
        ([0.6, 0.59, 0.61, 0.6], 0),
        ([0.6, 0.5, 0.6], 1),
        ([0.59, 0.29, 0.69, 0.31], 2),
        ([0.6, 0.66, 0.6, 0.66, 0.6], 3),
        ([0.6, 0.62, 0.64, 0.66, 0.62, 0.58], 1),
    ],
)
def test_turning_points(series, turns):
    """Would catch small swings counted, or a slow turn missed because each step is small."""
    assert categories.turning_points(np.array(series), 0.035) == turns


def simulated(kind, rng):
    """A series as the paper describes this kind: (time, atoms, share with CN > 8), without errors."""
    s = int(rng.integers(4, 8))
    time = np.cumsum(rng.uniform(4, 9, s))
    x = (time - time[0]) / (time[-1] - time[0])
    n0, f0 = rng.uniform(160, 700), rng.uniform(0.57, 0.7)
    fall = rng.uniform(0.12, 0.43)
    if kind == "ESC":
        return time, n0 * (1 - fall * x), f0 - rng.uniform(0.0, 0.07) * x
    if kind == "ESIP":
        still = np.arange(s) < 3
        return time, n0 * np.where(still, 1, 1 - fall * (0.5 + 0.5 * x)), f0 - 0.02 * x
    if kind == "EFC":
        swing = rng.uniform(0.09, 0.3) * (np.arange(s) % 2)
        return time, n0 * (1 - fall * x), f0 - swing
    if kind == "ECT":
        dip = np.zeros(s)
        dip[rng.integers(1, s - 1)] = rng.uniform(0.1, 0.3)
        return time, n0 * (1 - fall * x), f0 - dip
    back = np.interp(np.arange(s) / (s - 1), [0, 0.5, 0.8, 1], [1, 0.87, 1.08, 1 + rng.uniform(-0.03, 0.03)])
    if s == 4:
        back = np.array([1, 0.88, 1.06, 1.0])
    return time, n0 * back, f0 - (0.1 * np.sin(np.pi * x) if kind == "FAC" else 0.01 * x)


def named(time, n, f, rng, sigma_n=0.006, sigma_f=0.006):
    n = n * (1 + sigma_n * rng.standard_normal(len(n)))
    f = f + sigma_f * rng.standard_normal(len(f))
    table = {"time_s": time, "n_atoms": n, "fraction_cn_gt8": f}
    for name, sigma in (("n_atoms", sigma_n * n), ("fraction_cn_gt8", sigma_f)):
        table |= {f"{name}_low": table[name] - 1.96 * sigma, f"{name}_high": table[name] + 1.96 * sigma}
    return categories.categorise(table, draws=300)


@pytest.mark.parametrize("kind", ["ESC", "ESIP", "EFC", "ECT", "FAC", "FACHC"])
def test_kinds_are_named(kind):
    """Would catch rules that do not tell the six kinds apart: right at least nine times in ten."""
    rng = np.random.default_rng(len(kind) + ord(kind[-1]))
    right = sum(named(*simulated(kind, rng), rng)["category"] == kind for _ in range(40))
    assert right >= 36


def test_shrinking_is_no_turn_of_the_core():
    """Would catch the slow fall of a shrinking particle, after one destabilised state, that counts as a second turn."""
    n = np.array([373, 350, 327, 304, 282, 259, 236])
    f = 1 - 0.34 * (n / n[0]) ** (-1 / 3)
    assert np.allclose(categories.of_first_size(f, n), 0.66)
    f[1] -= 0.19
    assert f[2] - f[-1] > 0.035
    assert categories.name_series(n, f, np.arange(7.0))[0] == "ECT"


def test_drawn_series_do_not_count_errors_twice():
    """Would catch ranges that errors widen, a true swing that is drawn away, or draws that miss the truth."""
    rng = np.random.default_rng(3)
    still, swing, covered = [], [], []
    for _ in range(200):
        for true, ranges in ((np.full(6, 0.6), still), (0.6 + 0.1 * (np.arange(6) % 2), swing)):
            draws = categories.draw_series(true + rng.normal(0, 0.01, 6), np.full(6, 0.01), rng, 200)
            ranges.append(np.ptp(draws, axis=1).mean())
            low, high = np.quantile(draws, [0.025, 0.975], axis=0)
            covered.append(((low <= true) & (true <= high)).mean())
    # six measured values of nothing range over 2.5 errors, drawn once more over 3.6
    assert np.mean(still) < 0.02
    assert np.mean(swing) == pytest.approx(0.115, abs=0.012)
    assert 0.92 < np.mean(covered) < 0.99
    exact = categories.draw_series(np.array([3.0, 2.0, 1.0]), np.zeros(3), rng, 4)
    assert np.array_equal(exact, np.tile([3.0, 2.0, 1.0], (4, 1)))


def test_paper_trajectories():
    """Would catch rules that contradict what the paper says of its own trajectories."""
    t = np.arange(4) * 9.0
    assert categories.name_series([533, 469, 562, 388], [0.59, 0.29, 0.69, 0.31], t)[0] == "EFC"  # EFC1
    assert categories.name_series([182, 175, 163], [0.59, 0.56, 0.53], [8, 13, 19])[0] == "ESC"  # ESC5
    assert categories.name_series([351, 316, 398, 362], [0.67, 0.61, 0.62, 0.61], t)[0] == "FAC"  # FC1
    assert categories.name_series([250, 250, 249, 218], [0.6, 0.6, 0.6, 0.59], t)[0] == "ESIP"  # ESIP1


def test_ambiguous_series_say_so():
    """Would catch false certainty: errors as large as the swings leave no sure name; two states have none."""
    rng = np.random.default_rng(1)
    time = np.arange(5) * 6.0
    found = named(time, np.linspace(400, 340, 5), np.array([0.62, 0.6, 0.62, 0.6, 0.61]), rng, sigma_f=0.025)
    assert found["probability"] < 0.9
    assert len(found["probabilities"]) > 1
    two = named(time[:2], np.array([300.0, 250]), np.array([0.6, 0.5]), rng)
    assert two["category"] == "undetermined"
    assert two["verdict"] == "doubtful"
    none = named(time[:0], np.zeros(0), np.zeros(0), rng)
    assert none["verdict"] == "failed"
    still = named(time, np.full(5, 300.0), np.full(5, 0.6), rng, sigma_n=0.001)
    assert still["category"] == "undetermined"
