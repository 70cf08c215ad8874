"""The time-invariant core: atoms that every state has at the same place."""

import numpy as np
from scipy.spatial import cKDTree

from perrin.states.lives import match


def invariant_core(states, distance_A):
    """(members (c, s) int, centre_A (c, 3)): the core as the paper defines it, of equal size in all states.

    states : list of (n, 3) in one frame; distance_A : half the theoretical diameter of the atom
    Atoms common to states 1 and 2 (displaced by less than distance_A) are averaged; these are compared
    with state 3, and so on; then every state is compared with the result. Matches are one to one and
    optimal, positions arithmetic means of all states so far, and the last comparison is repeated until
    every atom of the core lies within distance_A of its mean in every state: the size is then equal in all
    states by construction. Everything, or nothing, may be core.

    >>> later = xyz[5:] + np.random.default_rng(0).normal(0, 0.1, (196, 3))  # five atoms lost
    >>> members, centre = invariant_core([xyz, later], 1.387)
    >>> len(centre), members[0].tolist()
    (196, [5, 0])
    """
    if not states:
        return np.zeros((0, 0), int), np.zeros((0, 3))
    centre = np.array(states[0], float).reshape(-1, 3)
    for k, xyz in enumerate(states[1:], 1):
        pairs = match(centre, xyz, distance_A)
        centre = (k * centre[pairs[:, 0]] + xyz[pairs[:, 1]]) / (k + 1)
    while True:
        members = np.full((len(centre), len(states)), -1)
        for s, xyz in enumerate(states):
            pairs = match(centre, xyz, distance_A)
            members[pairs[:, 0], s] = pairs[:, 1]
        whole = (members >= 0).all(1)
        members = members[whole]
        if not len(members):
            return np.zeros((0, len(states)), int), np.zeros((0, 3))
        where = np.stack([states[s][members[:, s]] for s in range(len(states))])
        mean = where.mean(0)
        near = (np.linalg.norm(where - mean, axis=2) < distance_A).all(0)
        if whole.all() and near.all() and np.allclose(mean, centre, atol=1e-9):
            return members, mean
        centre = mean[near]


def greedy_core(states, distance_A):
    """(list of (c_s,) int members of each state, centre_A (c, 3)) as the authors' program finds it.

    Atoms of the larger set, in file order, take their nearest unused atom of the smaller; positions are
    averaged in pairs, so that the last state weighs one half; a last pass compares every state with the
    result. Sizes may differ between states. No alignment inside.
    """
    if not states:
        return [], np.zeros((0, 3))
    centre = np.array(states[0], float)
    for xyz in states[1:]:
        a, b = _couples(centre, xyz, distance_A)
        centre = 0.5 * (centre[a] + xyz[b])
    return [_couples(centre, xyz, distance_A)[1] for xyz in states], centre


def _couples(first, second, distance_A):
    """Greedy pairs (rows of first, rows of second): the larger set in order, each its nearest unused partner."""
    swap = len(first) < len(second)
    large, small = (second, first) if swap else (first, second)
    used = np.zeros(len(small), bool)
    rows, partners = [], []
    near = cKDTree(small).query_ball_point(large, distance_A) if len(small) else [[] for _ in large]
    for k, candidates in enumerate(near):
        free = [c for c in candidates if not used[c]]
        if free:
            best = min(free, key=lambda c: ((large[k] - small[c]) ** 2).sum())  # noqa: B023
            used[best] = True
            rows.append(k)
            partners.append(best)
    pair = (np.array(rows, int), np.array(partners, int))
    return (pair[1], pair[0]) if swap else pair


def displacement(states, members, centre):
    """(c,) root mean square distance of each core atom from its mean over the states, angstrom."""
    where = np.stack([xyz[members[:, s]] for s, xyz in enumerate(states)])
    return np.sqrt(((where - centre) ** 2).sum(2).mean(0))
