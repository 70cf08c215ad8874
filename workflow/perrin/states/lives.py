"""The identity of atoms through time: which atom of one state is which of the next, who left, arrived, moved."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from perrin.states.neighbours import components

RELAXATION_A = (
    0.35  # how far an atom that stays may shift for reasons other than its error, one standard deviation
)


def match(first, second, gate_A, covariance_first=None, covariance_second=None):
    """(m, 2) int: the one-to-one pairs of atoms of two states that are the same atom, in order of the first.

    first, second : (n, 3), (k, 3) angstrom, in one frame; covariances (n, 3, 3), NaN counts as exact
    gate_A : exact atoms further apart are different; for uncertain ones distances count less, by their error along the
        line between them against the relaxation of 0.35 A, but never so little that gate_A grows by more than 40 %

    The assignment maximises the sum of 1 - (distance / gate)^2 over all pairs (optimal, not greedy), so
    that it depends neither on the order of the atoms nor on which state comes first.
    """
    if len(first) == 0 or len(second) == 0:
        return np.zeros((0, 2), int)
    reach = 1.4 * gate_A
    near = cKDTree(first).sparse_distance_matrix(cKDTree(second), reach, output_type="ndarray")
    near = near[np.lexsort((near["j"], near["i"]))]
    i, j, distance = near["i"], near["j"], near["v"]
    along = (second[j] - first[i]) / np.maximum(distance, 1e-9)[:, None]
    variance = np.zeros(len(i))
    for covariance, index in ((covariance_first, i), (covariance_second, j)):
        if covariance is not None:
            variance += np.nan_to_num(np.einsum("mi,mij,mj->m", along, covariance[index], along))
    gain = 1 - (distance / gate_A) ** 2 * RELAXATION_A**2 / (RELAXATION_A**2 + variance)
    keep = gain > 0
    i, j, gain = i[keep], j[keep], gain[keep]
    found = []
    for group in components(len(first) + len(second), np.c_[i, j + len(first)]):
        rows, columns = group[group < len(first)], group[group >= len(first)] - len(first)
        inside = np.isin(i, rows)
        value = np.zeros((len(rows), len(columns)))
        value[np.searchsorted(rows, i[inside]), np.searchsorted(columns, j[inside])] = gain[inside]
        a, b = linear_sum_assignment(-value)
        real = value[a, b] > 0
        found += list(zip(rows[a[real]].tolist(), columns[b[real]].tolist()))
    return np.array(sorted(found), dtype=int).reshape(-1, 2)


def hops(left_xyz, arrived_xyz, hop_A):
    """(m, 2) int: pairs of an atom that left and one that arrived within hop_A, taken as one atom that moved."""
    if len(left_xyz) == 0 or len(arrived_xyz) == 0 or hop_A <= 0:
        return np.zeros((0, 2), int)
    return match(left_xyz, arrived_xyz, hop_A)


def follow(states, covariances, gate_A):
    """(k, s) int: for each of k atoms the row that it holds in each of s states, -1 where it is absent.

    states : list of (n, 3) in one frame; covariances : list of (n, 3, 3)
    Atoms are matched from each state to the next; one that is missing in between and comes back to its place keeps its
    identity. Atoms are numbered by first appearance, then by row.
    """
    lives = np.zeros((0, len(states)), int)
    for s, xyz in enumerate(states):
        column = np.full(len(lives), -1)
        taken = np.zeros(len(xyz), bool)
        if s:
            last = np.array([row[:s][row[:s] >= 0][-1] for row in lives], dtype=int)
            when = np.array([np.flatnonzero(row[:s] >= 0)[-1] for row in lives], dtype=int)
            # those of the state before first, then those that have been away
            for away in (False, True):
                ids = np.flatnonzero(((when < s - 1) == away) & (column < 0))
                rest = np.flatnonzero(~taken)
                place = np.array([states[when[k]][last[k]] for k in ids]).reshape(-1, 3)
                spread = np.array([covariances[when[k]][last[k]] for k in ids]).reshape(-1, 3, 3)
                for a, b in match(place, xyz[rest], gate_A, spread, covariances[s][rest]):
                    column[ids[a]] = rest[b]
                    taken[rest[b]] = True
        new = np.flatnonzero(~taken)
        lives[:, s] = column
        block = np.full((len(new), len(states)), -1)
        block[:, s] = new
        lives = np.r_[lives, block]
    return lives


def change_probability(existence, missing, completeness):
    """Probability that atoms without a partner are real changes.

    existence : (n,) probability that the atom is real; missing : share of all atoms that have no partner
    completeness : share of the real atoms that a model holds. An atom without a partner was either overlooked in the
        other model, a share 1 - completeness of all, or has really changed: the rest of those missing.
    """
    overlooked = min(1 - completeness, missing)
    changed = (missing - overlooked) / missing if missing > 0 else 0.0
    return np.asarray(existence, float) * changed


def life_name(present):
    """How an atom's presence (s,) bool over the states is called: present, arrived, left, visited."""
    if present[0]:
        return "present" if present[-1] else "left"
    return "arrived" if present[-1] else "visited"
