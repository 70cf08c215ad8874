"""A series of states in one frame: docked, every atom followed, what changed, the core and the rates, as tables."""

import logging

import numpy as np

from perrin.files.records import Atoms
from perrin.states.changes import between, change_rows
from perrin.states.coordination import coordination_numbers, cutoff, site_kinds
from perrin.states.core import displacement, greedy_core, invariant_core
from perrin.states.dock import dock
from perrin.states.lattice_fit import fit_lattice
from perrin.states.lives import follow, life_name
from perrin.states.rates import rate_row

log = logging.getLogger("perrin")

LIVES = (
    *(
        "atom_id",
        "x_A",
        "y_A",
        "z_A",
        "life",
        "first_state",
        "last_state",
        "first_frame",
        "last_frame",
        "states",
    ),
    *("gaps", "atoms", "core", "probability", "cn", "site_kind", "displacement_A"),
)
KINDS = ("adatom", "corner", "edge", "facet", "step", "bulk")


def follow_states(
    table, docked, metal, nearest_A, *, name, seed, numbers, gate_A=None, hop_factor=1.25, completeness=0.99,
    core_distance_A=None, core_method="invariant", interval_level=0.95,
):  # fmt: skip
    """Who is who in a series of states, and what changed. Returns a dict.

    table : DataFrame with time_s, first_frame, last_frame, a row a state, failed ones included
    docked : list of Atoms in one frame, of the states that did not fail; numbers : their numbers, from 1
    metal : Element; nearest_A : nearest-neighbour distance of the bulk; the rest as perrin.states.dynamics.dynamics
    identity : (k, s) rows of each atom, -1 where absent; members (c, s), centre (c, 3) of the core
    changes, rates, lives : lists of rows (dicts); core : {column: values}; gate_A, core_distance_A : as used
    """
    gate = 0.5 * nearest_A if gate_A is None else float(gate_A)
    identity = follow_atoms(docked, gate)
    distance = metal.radius_A if core_distance_A is None else float(core_distance_A)
    members, centre = _core(docked, distance, core_method)
    cn = [coordination_numbers(m.xyz_A, cutoff(m.xyz_A, metal.system, metal.lattice_A)) for m in docked]
    rng = np.random.default_rng(seed)
    changed, rate_rows = [], []
    for here, there in zip(range(len(docked) - 1), range(1, len(docked))):
        found = between(docked[here], docked[there], identity[:, here], identity[:, there], hop_factor * nearest_A,
                        completeness)  # fmt: skip
        pair = (numbers[here], numbers[there])
        changed += change_rows(found, docked[here], docked[there], cn[here], cn[there], pair)
        rate_rows.append(_rate_row(table, found, docked, cn, here, there, pair, rng, interval_level))
    in_core = np.zeros(len(identity), bool)
    core_id = np.zeros(len(centre), int)
    if len(members):
        core_id = np.array([np.flatnonzero(identity[:, 0] == row)[0] for row in members[:, 0]], dtype=int)
        in_core[core_id] = True
    log.debug("%s: %d atoms followed, %d of them core", name, len(identity), len(centre))
    return {
        "identity": identity,
        "members": members,
        "centre": centre,
        "changes": changed,
        "rates": rate_rows,
        "lives": _lives_rows(identity, docked, cn, table, numbers, in_core),
        "core": _core_table(core_id, members, centre, docked),
        "gate_A": gate,
        "core_distance_A": distance,
    }


def follow_atoms(models, gate_A):
    """(k, s) int: rows of each atom in the models (list of Atoms, docked), -1 where absent
    (perrin.states.lives.follow).
    """
    return follow([m.xyz_A for m in models], [m.covariance_A2 for m in models], gate_A)


def dock_all(models, metal, nearest):
    """(models in the frame of the first, Dock of each but the first): each onto the one before."""
    docked, docks, last_fit = [], [], None
    for model in models:
        fit = fit_lattice(model.xyz_A, metal.system, metal.lattice_A, metal.c_over_a)
        how = None
        if docked:
            how = dock(model.xyz_A, docked[-1].xyz_A, fit, last_fit, nearest)
            if how.moved:
                R = how.rotation
                covariance = np.einsum("ij,njk,lk->nil", R, model.covariance_A2, R)
                model = Atoms(how(model.xyz_A), model.occupancy, covariance, model.probability, model.element)
                fit = fit_lattice(model.xyz_A, metal.system, metal.lattice_A, metal.c_over_a)
        docked.append(model)
        docks.append(how)
        last_fit = fit
    return docked, docks


def _core(docked, distance, method):
    """(members (c, s), centre (c, 3)) of the time-invariant core."""
    xyz = [model.xyz_A for model in docked]
    if method == "invariant":
        return invariant_core(xyz, distance)
    found, centre = greedy_core(xyz, distance)
    if len({len(rows) for rows in found}) > 1:
        log.warning("the greedy core has another size in every state: %s", [len(rows) for rows in found])
        return np.zeros((0, len(xyz)), int), np.zeros((0, 3))
    return np.array(found, int).T.reshape(len(centre), len(xyz)), centre


def _rate_row(table, found, docked, cn, here, there, numbers, rng, level):
    """One row of rates.csv."""
    first, second = docked[here], docked[there]
    before, after = table["time_s"][numbers[0] - 1], table["time_s"][numbers[1] - 1]
    stayed = found["stayed"]
    shift = np.linalg.norm(
        first.xyz_A[found["row_first"][stayed]] - second.xyz_A[found["row_second"][stayed]], axis=1
    )
    row = {
        "from_state": numbers[0],
        "to_state": numbers[1],
        "from_time_s": before,
        "to_time_s": after,
        "interval_s": after - before,
        "atoms_before": len(first),
        "atoms_after": len(second),
        "mass_change_pct": 100 * (len(second) - len(first)) / max(len(first), 1),
        "stayed": len(stayed),
        "left": len(found["left"]),
        "arrived": len(found["arrived"]),
        "moved": len(found["moved"]),
        "published_per_s": (len(second) - len(first)) / (after - before),
        "median_shift_A": float(np.median(shift)) if len(shift) else np.nan,
    }
    row |= rate_row(len(found["arrived"]), len(found["left"]), after - before, rng, level)
    left = site_kinds(cn[here][found["row_first"][found["left"]]])
    arrived = site_kinds(cn[there][found["row_second"][found["arrived"]]])
    row |= {f"left_{kind}": int((left == kind).sum()) for kind in KINDS}
    row |= {f"arrived_{kind}": int((arrived == kind).sum()) for kind in KINDS}
    return row


def _lives_rows(identity, docked, cn, table, numbers, in_core):
    """lives.csv: one row an atom."""
    rows = []
    for k, row in enumerate(identity):
        at = np.flatnonzero(row >= 0)
        first, last = at[0], at[-1]
        where = np.array([docked[s].xyz_A[row[s]] for s in at])
        doubt = np.prod([1 - docked[s].probability[row[s]] for s in at])
        number = int(cn[first][row[first]])
        values = (
            k + 1, *where[0], life_name(row >= 0), numbers[first], numbers[last],
            int(table["first_frame"][numbers[first] - 1]), int(table["last_frame"][numbers[last] - 1]),
            len(at), int(last - first + 1 - len(at)), " ".join(str(r + 1) for r in row), bool(in_core[k]), 1 - doubt,
            number, site_kinds([number])[0], np.sqrt(((where - where.mean(0)) ** 2).sum(1).mean()),
        )  # fmt: skip
        rows.append(dict(zip(LIVES, values)))
    return rows


def _core_table(core_id, members, centre, docked):
    """core.csv: one row a core atom."""
    moved = displacement([m.xyz_A for m in docked], members, centre) if len(centre) else np.zeros(0)
    variance = [np.trace(m.covariance_A2[members[:, s]], axis1=1, axis2=2) for s, m in enumerate(docked)]
    number = max(len(docked), 1)
    expected = np.sqrt(np.mean(variance, axis=0) * (number - 1) / number) if len(centre) else np.zeros(0)
    return {
        "atom_id": core_id + 1,
        "x_A": centre[:, 0],
        "y_A": centre[:, 1],
        "z_A": centre[:, 2],
        "displacement_A": moved,
        "expected_A": expected,
    }
