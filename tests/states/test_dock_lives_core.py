"""Who is who through time: docking, optimal identity, the invariant core."""

import numpy as np
import pytest
from clusters import octahedron, sphere
from scipy.spatial.transform import Rotation

from perrin.states import core, lives
from perrin.states.dock import dock
from perrin.states.lattice_fit import fit_lattice

A = 3.912
NEAREST = A / np.sqrt(2)


def lopsided():
    """A crystal without symmetry: a sphere with a cap cut off and a few atoms on one side."""
    points = sphere(27)
    return points[(points @ [1, 2, 3]) < 7] * A / 2


def docked(moving, still):
    return dock(moving, still, fit_lattice(moving, "fcc", A), fit_lattice(still, "fcc", A), NEAREST)


def test_same_frame_is_left_alone():
    """Would catch coordinates changed without need: noise and lost atoms are no reason to move a state."""
    rng = np.random.default_rng(0)
    still = lopsided()
    moving = still[20:] + rng.normal(0, 0.1, (len(still) - 20, 3))
    found = docked(moving, still)
    assert not found.moved
    assert np.array_equal(found(moving), moving)
    assert found.share == 1


@pytest.mark.parametrize(
    "turn, shift",
    [
        (Rotation.from_euler("z", 90, degrees=True), [0, 0, 0]),
        (Rotation.from_rotvec(np.ones(3) / np.sqrt(3) * 2 * np.pi / 3), [0.3, -0.2, 0.1]),
        (Rotation.identity(), [A / 2, A / 2, 0]),
        (Rotation.from_euler("xyz", [12, -7, 20], degrees=True), [1.0, 0.5, -2.0]),
    ],
)
def test_lattice_symmetric_misfits_are_undone(turn, shift):
    """Would catch a choice by the lattice alone: turned onto itself or slipped, only the outline shows it."""
    rng = np.random.default_rng(1)
    still = lopsided() + rng.normal(0, 0.05, lopsided().shape)
    moving = turn.apply(lopsided() + rng.normal(0, 0.05, lopsided().shape)) + shift
    found = docked(moving, still)
    assert found.moved
    assert np.sqrt(((found(moving) - still) ** 2).sum(1).mean()) < 0.15


def test_identity_is_optimal_not_greedy():
    """Would catch greedy matching: in a row that shifts by 0.45 of its spacing each atom keeps its own partner."""
    row = np.c_[np.arange(10) * 1.0, np.zeros((10, 2))]
    pairs = lives.match(row, row + [0.45, 0, 0], 0.9)
    assert np.array_equal(pairs, np.c_[np.arange(10), np.arange(10)])
    first, second = np.array([[0.0, 0, 0], [1, 0, 0]]), np.array([[0.6, 0, 0], [1.6, 0, 0]])
    assert lives.match(first, second, 1.0).tolist() == [[0, 0], [1, 1]]


def test_identity_does_not_depend_on_order_or_direction():
    """Would catch ties or loops that hang on the order of the files."""
    rng = np.random.default_rng(2)
    first = sphere(20) * A / 2
    second = rng.permutation(first + rng.normal(0, 0.3, first.shape))[15:]
    pairs = lives.match(first, second, 1.3)
    back = lives.match(second, first, 1.3)
    assert sorted(map(tuple, pairs)) == sorted((b, a) for a, b in back.tolist())
    mixed = rng.permutation(len(first))
    again = lives.match(first[mixed], second, 1.3)
    assert sorted((mixed[a], b) for a, b in again) == sorted(map(tuple, pairs))


def test_uncertain_atoms_may_lie_further_away():
    """Would catch errors ignored, or taken across the line instead of along it."""
    first, second = np.zeros((1, 3)), np.array([[1.5, 0, 0]])
    along, across = np.diag([0.5, 0, 0])[None] ** 2, np.diag([0, 0.5, 0])[None] ** 2
    assert len(lives.match(first, second, 1.3)) == 0
    assert len(lives.match(first, second, 1.3, along, along)) == 1
    assert len(lives.match(first, second, 1.3, across, across)) == 0


def test_lives_through_states():
    """Would catch an identity lost over a gap, and departures or arrivals miscounted."""
    rng = np.random.default_rng(3)
    points = lopsided()
    there = np.ones((len(points), 4), bool)
    there[:6, 2:] = False  # leave
    there[6:10, :1] = False  # arrive
    there[10, 1] = False  # overlooked once
    rows = [np.flatnonzero(there[:, s]) for s in range(4)]
    states = [points[r] + rng.normal(0, 0.1, (len(r), 3)) for r in rows]
    found = lives.follow(states, [np.zeros((len(r), 3, 3)) for r in rows], 1.38)
    assert len(found) == len(points)
    for row in found:
        original = {int(rows[s][k]) for s, k in enumerate(row) if k >= 0}
        assert len(original) == 1
        assert np.array_equal(row >= 0, there[original.pop()])
    names = [lives.life_name(row >= 0) for row in found]
    assert (names.count("left"), names.count("arrived")) == (6, 4)
    # gains minus losses make the change of the number
    for s in range(3):
        gained = ((found[:, s] < 0) & (found[:, s + 1] >= 0)).sum()
        lost = ((found[:, s] >= 0) & (found[:, s + 1] < 0)).sum()
        assert gained - lost == len(rows[s + 1]) - len(rows[s])


def test_change_probability_allows_for_overlooked_atoms():
    """Would catch certainty claimed: with as many missing as are overlooked anyway, none has changed."""
    assert lives.change_probability([1.0], 0.01, 0.99)[0] == 0
    assert lives.change_probability([1.0, 0.5], 0.1, 0.99) == pytest.approx([0.9, 0.45])
    assert lives.change_probability([1.0], 0.0, 0.99)[0] == 0
    assert lives.change_probability([0.8], 0.2, 1.0)[0] == 0.8


def test_core_is_what_survives():
    """Would catch unequal sizes or drift: with noise of 0.1 A the core is exactly the surviving atoms, in
    every state.
    """
    rng = np.random.default_rng(4)
    points = octahedron(7, 2) * A / 2
    gone = rng.permutation(len(points))
    states, keep = [], []
    for k in range(5):
        rows = np.sort(gone[12 * k :])
        keep.append(rows)
        states.append(points[rows] + rng.normal(0, 0.1, (len(rows), 3)))
    members, centre = core.invariant_core(states, 1.1)
    assert members.shape == (len(points) - 48, 5)
    for s in range(5):
        assert np.array_equal(np.sort(keep[s][members[:, s]]), keep[-1])
    assert np.array_equal(np.argsort(keep[0][members[:, 0]]), np.argsort(keep[4][members[:, 4]]))
    mean = np.mean([states[s][members[:, s]] for s in range(5)], axis=0)
    assert np.allclose(centre, mean)
    expected = 0.1 * np.sqrt(3 * 4 / 5)
    assert core.displacement(states, members, centre).mean() == pytest.approx(expected, rel=0.1)


def test_core_of_everything_of_nothing_and_of_one():
    """Would catch the published program's stop where all, or none, of the atoms are core."""
    points = sphere(10) * A / 2
    assert len(core.invariant_core([points, points, points], 1.1)[1]) == len(points)
    assert len(core.invariant_core([points, points + 50], 1.1)[1]) == 0
    assert len(core.invariant_core([points], 1.1)[1]) == len(points)
    assert core.invariant_core([], 1.1)[0].shape == (0, 0)


def test_core_limit():
    """Would catch the limit on the wrong distance: an atom that moved 0.9 of it stays, one at 2.5 does not."""
    points = octahedron(5) * A / 2
    moved = points.copy()
    moved[0] += [0.99, 0, 0]
    moved[1] += [2.75, 0, 0]
    members, _ = core.invariant_core([points, moved], 1.1)
    assert 0 in members[:, 0]
    assert 1 not in members[:, 0]


def test_greedy_core_of_measured_states(measured):
    """Would catch another chain than the authors': 257 atoms are common to the first two measured states."""
    found, centre = core.greedy_core([measured("kang2025_stage1"), measured("kang2025_stage2")], 1.1)
    assert len(centre) == 257
    assert len(found[0]) == 257
