"""Windows from log-likelihood ratios: exact, calibrated, with intervals."""

from itertools import combinations

import numpy as np

from perrin.windows.changepoints import (
    _optimal_partition,
    cumulative,
    judge,
    penalty_nats,
    segment_lives,
    split_worth,
)
from perrin.windows.published_curve import best_means, chance_penalty, correlation_steps


def ratios_of(present, information=2.0, seed=0):
    noise = np.random.default_rng(seed).standard_normal(present.shape)
    return np.where(present, 0.5, -0.5) * information + np.sqrt(information) * noise


def stepped(frames, atoms, steps):
    """Presence of atoms of which `count` leave at each frame."""
    present = np.ones((frames, atoms), bool)
    first = 0
    for at, count in steps:
        present[at:, first : first + count] = False
        first += count
    return present


def windows_of(ratios, min_frames=100, least_atoms=3, threshold=10.0):
    penalty = penalty_nats(np.full(len(ratios), 2.0), min_frames, least_atoms, threshold)
    return judge(ratios, segment_lives(ratios, min_frames, penalty), threshold, least_atoms, 1.15)


def test_errors_that_last_make_no_boundary():
    """Would catch a price that is the same however long errors last; what changes at once still makes one."""
    frames, atoms, view, information = 2000, 200, 125, 2.0
    rng = np.random.default_rng(4)
    error = np.repeat(0.6 * rng.standard_normal((frames // view, atoms)), view, axis=0)
    persistence = 1 + information * view * 0.6**2
    found = []
    for left in (0, 70):
        present = stepped(frames, atoms, [(1000, left)])
        ratios = ratios_of(present) + information * error * present
        for lasting in (1.0, persistence):
            asked = np.full(frames, information), 300, 3, 10.0, lasting
            found.append(segment_lives(ratios, 300, penalty_nats(*asked)))
    assert len(found[0]) > 1, "the errors must be able to mislead"
    assert found[1] == [0]
    assert len(found[3]) == 2 and abs(found[3][1] - 1000) <= view
    assert penalty_nats(np.ones(9), 300, 3, 10.0, 1.2) == penalty_nats(np.ones(9), 300, 3, 10.0)


def test_the_partition_is_the_best_of_all():
    """Would catch an error of the dynamic programme: all partitions of 10 blocks are tried."""
    rng = np.random.default_rng(1)
    edges = np.arange(11)
    for penalty in (0.5, 2.0):
        ratios = rng.normal(0, 2, (10, 3))
        total = cumulative(ratios)
        came = _optimal_partition(total, edges, 2, penalty)
        firsts, at = [], 10
        while at > 0:
            at = came[at]
            firsts.append(at)

        def score(cuts, total=total, penalty=penalty):
            ends = [0, *cuts, 10]
            if min(np.diff(ends)) < 2:
                return -np.inf
            return sum(
                np.maximum(total[z] - total[a], 0).sum() - penalty for a, z in zip(ends[:-1], ends[1:])
            )

        best = max((score(c), c) for k in range(5) for c in combinations(range(1, 10), k))
        assert np.isclose(score(tuple(sorted(firsts)[1:])), best[0])


def test_steps_are_found_to_the_frame():
    """Would catch a missed, doubled or shifted boundary: 4 of 100 atoms at 250, 20 at 650."""
    found, _ = windows_of(ratios_of(stepped(1000, 100, [(250, 4), (650, 20)])))
    assert [len(one.left) for one in found] == [4, 20] and not any(len(one.arrived) for one in found)
    assert abs(found[0].at - 250) <= 2 and found[1].at == 650
    assert all(one.low <= true <= one.high for one, true in zip(found, [250, 650]))
    assert all(2 * one.together >= one.changed for one in found)


def test_without_change_there_is_one_window():
    """Would catch false boundaries: 20 seeds, atoms whose strength wanders by a tenth included."""
    for seed in range(20):
        present = np.ones((800, 100), bool)
        present[:, 60:] = False
        ratios = ratios_of(present, seed=seed)
        ratios *= 1 + 0.1 * np.sin(np.arange(800) / 60)[:, None]
        assert windows_of(ratios)[0] == []


def test_too_few_atoms_make_no_boundary():
    """Would catch the least number of atoms being ignored: one atom that leaves is an event, not a state."""
    found, gone = windows_of(ratios_of(stepped(4000, 100, [(2000, 1)])))
    assert found == [] and [one.changed for one in gone] == [1]


def test_gradual_loss_is_bounded_by_windows():
    """Would catch one window over all of a slow loss, or as many as atoms: 2 sqrt(n m / r) frames each."""
    present = stepped(3000, 120, [(at, 1) for at in range(150, 2850, 30)])
    found, _ = windows_of(ratios_of(present))
    expected = 2 * np.sqrt(3 * 100 * 30 * 0.75)
    assert 0.6 < 3000 / (len(found) + 1) / expected < 1.7
    assert all(2 * one.together < one.changed for one in found if one.changed > 4)
    assert all(one.high - one.low > 20 for one in found if one.changed > 4)


def test_boundary_intervals_cover():
    """Would catch intervals that are too narrow or too wide: three atoms at 0.2 nats a frame."""
    inside = []
    for seed in range(150):
        ratios = ratios_of(stepped(600, 10, [(310, 3)]), information=0.4, seed=seed)
        found, _ = judge(ratios, [0, 300], 8.0, 2, 1.0)
        inside += [one.low <= 310 <= one.high for one in found]
    # the interval always holds the boundary itself (300) too: never below the level
    assert len(inside) > 140 and np.mean(inside) >= 0.92


def test_worth_of_a_split_is_what_two_windows_gain():
    """Would catch a curve of evidence that is not the gain of its own boundary."""
    total = cumulative(np.random.default_rng(3).normal(0, 1, (50, 4)))
    worth = split_worth(total, 10, 40)
    parts = np.maximum(total[25] - total[10], 0).sum() + np.maximum(total[40] - total[25], 0).sum()
    assert np.isclose(worth[15], parts - np.maximum(total[40] - total[10], 0).sum())
    assert np.allclose(worth[[0, -1]], 0) and (worth >= -1e-9).all()


def test_published_curve_steps_and_false_alarms():
    """Would catch a miscalibrated penalty: boundaries in noise at the stated rate, a step of one sd found."""
    rng = np.random.default_rng(4)
    false = sum(
        len(correlation_steps(np.arange(600), rng.normal(0.3, 0.1, 600), 100, 0.05, seed)[0]) > 1
        for seed in range(40)
    )
    assert false <= 6
    curve = rng.normal(0.3, 0.1, 600)
    curve[250:] -= 0.1
    curve[100:110] = np.nan
    steps, record = correlation_steps(np.arange(600), curve, 100, 0.05, 0)
    assert len(steps) == 2 and abs(steps[1][0] - 250) <= 20 and steps[1][1] <= 250 <= steps[1][2]
    assert record["penalty"] > 0


def test_best_means_is_the_best_of_all():
    """Would catch an error of the least-squares partition: all partitions of 9 points are tried."""
    curve = np.random.default_rng(5).normal(0, 1, 9)

    def score(cuts):
        ends = [0, *cuts, 9]
        if min(np.diff(ends)) < 2:
            return -np.inf
        return sum(curve[a:z].sum() ** 2 / (z - a) - 0.3 for a, z in zip(ends[:-1], ends[1:]))

    best = max(score(c) for k in range(4) for c in combinations(range(1, 9), k))
    assert np.isclose(score(tuple(best_means(curve, 2, 0.3)[1:])), best)
    assert chance_penalty(curve, 2, 2, 0.1, 0) == chance_penalty(curve, 2, 2, 0.1, 0)
