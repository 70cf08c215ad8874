"""What changed from one state to the next, atom by atom: who left, who arrived, who moved to a neighbouring site."""

import numpy as np

from perrin.states.coordination import site_kinds
from perrin.states.lives import change_probability, hops


def between(first, second, row_first, row_second, hop_A, completeness):
    """What happened from one state to the next, of atoms followed by identity. Returns a dict.

    first, second : Atoms, docked; row_first, row_second : (k,) row of each identity in them, -1 where absent
    stayed : (m,) identities; left, arrived : identities; moved : (m, 2) pairs of identities (before, after);
    left_probability, arrived_probability, moved_probability
    """
    before, after = row_first >= 0, row_second >= 0
    left, arrived = np.flatnonzero(before & ~after), np.flatnonzero(after & ~before)
    missing_first = len(left) / max(before.sum(), 1)
    missing_second = len(arrived) / max(after.sum(), 1)
    p_left = change_probability(first.probability[row_first[left]], missing_first, completeness)
    p_arrived = change_probability(second.probability[row_second[arrived]], missing_second, completeness)
    hop = hops(first.xyz_A[row_first[left]], second.xyz_A[row_second[arrived]], hop_A)
    # the more atoms arrive anywhere, the likelier one arrives beside a place left by chance
    chance = len(arrived) * 12 / max(after.sum(), 1)
    kept_left, kept_arrived = np.ones(len(left), bool), np.ones(len(arrived), bool)
    kept_left[hop[:, 0]], kept_arrived[hop[:, 1]] = False, False
    return {
        "stayed": np.flatnonzero(before & after),
        "left": left[kept_left],
        "left_probability": p_left[kept_left],
        "arrived": arrived[kept_arrived],
        "arrived_probability": p_arrived[kept_arrived],
        "moved": np.c_[left[hop[:, 0]], arrived[hop[:, 1]]],
        "moved_probability": p_left[hop[:, 0]] * p_arrived[hop[:, 1]] / (1 + chance),
        "row_first": row_first,
        "row_second": row_second,
    }


def change_rows(found, first, second, cn_first, cn_second, numbers):
    """Rows (dicts) of changes.csv for one pair of states.

    found : of `between`; first, second : Atoms; cn_first, cn_second : their coordination numbers
    numbers : (from, to) numbers of the states
    """
    rows = []

    def add(change, identity, xyz, cn, probability, to_id=0, to=(np.nan,) * 3):
        row = {"x_A": xyz[0], "y_A": xyz[1], "z_A": xyz[2], "from_state": numbers[0], "to_state": numbers[1]}
        row |= {"change": change, "probability": probability, "atom_id": identity + 1, "to_atom_id": to_id}
        row |= {"cn": cn, "site_kind": site_kinds([cn])[0]}
        rows.append(row | {"x_to_A": to[0], "y_to_A": to[1], "z_to_A": to[2]})

    for identity, p in zip(found["left"], found["left_probability"]):
        row = found["row_first"][identity]
        add("left", identity, first.xyz_A[row], cn_first[row], p)
    for identity, p in zip(found["arrived"], found["arrived_probability"]):
        row = found["row_second"][identity]
        add("arrived", identity, second.xyz_A[row], cn_second[row], p)
    for (identity, to_id), p in zip(found["moved"], found["moved_probability"]):
        row, to_row = found["row_first"][identity], found["row_second"][to_id]
        add("moved", identity, first.xyz_A[row], cn_first[row], p, to_id + 1, second.xyz_A[to_row])
    return rows
