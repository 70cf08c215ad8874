"""Paths through a grid, against every path there is."""

from itertools import product

import numpy as np
import pytest
from drawing import walk

from perrin.imaging import lattice
from perrin.imaging.grids import OrientationGrid, equivalents
from perrin.imaging.rotations import angles_between
from perrin.poses.chain import lift, rms_step_deg, viterbi


def tiny_grid(rng, nodes=6, neighbours=4):
    """A graph with a made-up angle between neighbours; some have fewer neighbours than others."""
    neighbour = np.full((nodes, neighbours), -1, np.int32)
    angle = np.full((nodes, neighbours), np.inf, np.float32)
    for i in range(nodes):
        count = neighbours - i % 2
        others = rng.permutation(np.delete(np.arange(nodes), i))[: count - 1]
        neighbour[i, :count] = np.r_[i, others]
        angle[i, :count] = np.r_[0, rng.uniform(0.02, 0.2, count - 1)]
    return OrientationGrid(np.tile(np.eye(3), (nodes, 1, 1)), neighbour, angle, 5.0)


@pytest.mark.parametrize("gaps", [False, True])
def test_the_best_of_all_paths(gaps):
    """Would catch a cost without its factor 2 or 3, a gap that is ignored, and a wrong way back."""
    rng = np.random.default_rng(4)
    grid = tiny_grid(rng)
    score = rng.normal(0, 3, (6, 6)).astype(np.float32)
    gap = np.array([1, 1, 4, 1, 2, 1.0]) if gaps else np.ones(6)
    sigma2 = np.radians(5.0) ** 2 / 3

    def value(path):
        total = score[0, path[0]]
        for t in range(1, 6):
            at = np.flatnonzero(grid.neighbour[path[t]] == path[t - 1])
            if not len(at):
                return -np.inf
            total += score[t, path[t]] - grid.angle[path[t], at[0]] ** 2 / (2 * sigma2 * gap[t])
        return total

    values = {path: value(path) for path in product(range(6), repeat=6)}
    best = max(values, key=values.get)
    for chunks in ([score], [score[:1], score[1:4], score[4:]]):
        path, likelihood = viterbi(iter(chunks), grid, 5.0, gap if gaps else None)
        assert tuple(path) == best
        assert likelihood == pytest.approx(values[best], abs=1e-3)


def test_long_paths_keep_their_precision():
    """Would catch single precision that runs out over a movie worth millions of nats."""
    grid = tiny_grid(np.random.default_rng(5))
    score = np.full((300, 6), 30000, np.float32)
    score[:, 3] += 0.5
    path, likelihood = viterbi([score], grid, 5.0)
    assert (path[5:-5] == 3).all()
    assert likelihood == pytest.approx(300 * 30000.5, abs=5)


def test_lift_follows_the_body_through_what_looks_alike():
    """Would catch a lift that jumps between equivalents: a smooth path comes back whole, up to one equivalent."""
    rng = np.random.default_rng(6)
    group = lattice.rotation_group("fcc")
    true = walk(300, 2.5, rng)
    alike = equivalents(true, group)
    mixed = alike[np.arange(300), rng.integers(0, 48, 300)]
    lifted = lift(mixed, group)
    first = equivalents(true[:1], group)[0]
    which = angles_between(first, lifted[0]).argmin()
    expected = alike[:, which]
    assert angles_between(lifted, expected).max() < 1e-6


def test_planted_step_is_measured():
    """Would catch a step per axis taken for the whole, and a correction for the cut that is off."""
    found = rms_step_deg(walk(4000, 3.0, np.random.default_rng(7)))
    assert found == pytest.approx(3.0, rel=0.05)
