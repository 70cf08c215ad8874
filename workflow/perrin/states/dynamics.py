"""Stage `dynamics`: the states of one trajectory side by side: who is who, what changed, how fast, and
what kind it is.
"""

import logging

import numpy as np
import pandas as pd

from perrin.files.atomic import read_json, write_json
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.models import read_atoms, write_trajectory_xyz
from perrin.files.records import Atoms
from perrin.files.tables import read_table, write_table
from perrin.imaging import lattice
from perrin.states import categories
from perrin.states.changes import between, change_rows
from perrin.states.coordination import coordination_numbers, cutoff, site_kinds
from perrin.states.core import displacement, greedy_core, invariant_core
from perrin.states.dock import dock
from perrin.states.lattice_fit import fit_lattice
from perrin.states.lives import follow, life_name
from perrin.states.rates import rate_row
from perrin.states.statistics import STATE_COLUMNS

log = logging.getLogger("perrin")

KINDS = ("adatom", "corner", "edge", "facet", "step", "bulk")
STATES_COLUMNS = {
    "state": ("", "number of the state, from 1 in time order; failed windows count too"),
    **STATE_COLUMNS,
    "mass_pct": ("%", "number of atoms against the first state that did not fail"),
    "core_share": ("", "share of the atoms that belong to the time-invariant core"),
    "docked": ("", "whether the state had to be turned or moved onto the one before"),
    "docked_share": ("", "share of the smaller state's atoms that match the state before"),
    "docked_second_share": ("", "the same for the best other placement: near it, the docking is uncertain"),
    "docked_rms_A": ("A", "root mean square distance of the matched atoms"),
}
CHANGES_COLUMNS = {
    "x_A": (
        "A",
        "position along x in the frame of the first state, as in its atoms.csv; of a moved atom, before",
    ),
    "y_A": ("A", "position along y"),
    "z_A": ("A", "position along z"),
    "from_state": ("", "number of the state before"),
    "to_state": ("", "number of the state after"),
    "change": ("", "left, arrived or moved (to a neighbouring site)"),
    "probability": ("", "that the change is real: the atom exists, and was not overlooked on the other side"),
    "atom_id": ("", "atom of lives.csv"),
    "to_atom_id": ("", "of a moved atom: its number in lives.csv at the new place; otherwise 0"),
    "cn": ("", "coordination number of the atom where it was found"),
    "site_kind": ("", "adatom, corner, edge, facet, step or bulk, by that number"),
    "x_to_A": ("A", "of a moved atom: position along x after"),
    "y_to_A": ("A", "of a moved atom: position along y after"),
    "z_to_A": ("A", "of a moved atom: position along z after"),
}
LIVES_COLUMNS = {
    "atom_id": ("", "number of the atom in this trajectory, from 1"),
    "x_A": ("A", "position along x at first appearance, in the frame of the first state"),
    "y_A": ("A", "position along y"),
    "z_A": ("A", "position along z"),
    "life": ("", "present (first to last state), left, arrived or visited (came and went)"),
    "first_state": ("", "state of its first appearance"),
    "last_state": ("", "state of its last appearance"),
    "first_frame": ("frame", "first frame of the first state"),
    "last_frame": ("frame", "last frame of the last state"),
    "states": ("", "number of states that have it"),
    "gaps": ("", "number of states in between that lack it"),
    "atoms": ("", "its number in atoms.csv of each state that did not fail, from 1; 0 where it is absent"),
    "core": ("", "whether it belongs to the time-invariant core"),
    "probability": ("", "that the atom exists: one minus the product of all states' doubts"),
    "cn": ("", "coordination number at first appearance"),
    "site_kind": ("", "kind of its site at first appearance"),
    "displacement_A": ("A", "root mean square distance from its mean position over the states"),
}
CORE_COLUMNS = {
    "atom_id": ("", "atom of lives.csv at this place in the first state"),
    "x_A": ("A", "mean position along x over all states, in the frame of the first"),
    "y_A": ("A", "mean position along y"),
    "z_A": ("A", "mean position along z"),
    "displacement_A": ("A", "root mean square distance from the mean over the states"),
    "expected_A": ("A", "the same if nothing but the errors of the positions moved it; empty where unknown"),
}
RATES_COLUMNS = {
    "from_state": ("", "number of the state before"),
    "to_state": ("", "number of the state after"),
    "from_time_s": ("s", "middle of the window before"),
    "to_time_s": ("s", "middle of the window after"),
    "interval_s": ("s", "between the middles"),
    "atoms_before": ("", "number of atoms before"),
    "atoms_after": ("", "number of atoms after"),
    "mass_change_pct": ("%", "change of the number of atoms"),
    "stayed": ("", "atoms of both states"),
    "left": ("", "atoms that left (those that moved not counted)"),
    "arrived": ("", "atoms that arrived"),
    "moved": ("", "atoms that moved to a neighbouring site"),
    **{
        f"{name}_per_s{end}": ("1/s", f"{text}{what}")
        for name, text in (
            ("association", "atoms gained per second"),
            ("dissociation", "atoms lost per second"),
            ("net", "gained minus lost per second"),
        )
        for end, what in (("", ""), ("_low", ", lower end"), ("_high", ", upper end of the interval"))
    },
    "published_per_s": ("1/s", "difference of the numbers of atoms over the time between the middles (the paper's)"),
    "median_shift_A": ("A", "median distance of the atoms that stayed"),
    **{f"left_{kind}": ("", f"of those that left, how many held the kind of site: {kind}") for kind in KINDS},
    **{f"arrived_{kind}": ("", f"of those that arrived, how many hold the kind of site: {kind}") for kind in KINDS},
}  # fmt: skip


def dynamics(
    *, windows, atoms, states, model_jsons, states_csv, changes, lives, core, rates, category, trajectory_xyz,
    name, element, frame_rate_hz, seed, gate_A, hop_factor, completeness, core_distance_A, core_method, interval_level,
    least_states, least_probability, net_loss, gain, still, reversal, step, stable_core, initial,
):  # fmt: skip
    """Write what changed between the states of one trajectory.

    windows : tsv of the windows in time order; atoms, states, model_jsons : lists of files, one a window
    states_csv, changes, lives, core, rates (csv), category (json), trajectory_xyz (extended XYZ) : files to write
    gate_A : an atom that is further away in the next state is another; None: half the nearest-neighbour distance
    hop_factor : an atom that left and one that arrived within this many nearest-neighbour distances are one that moved
    completeness : share of the real atoms that a good model holds
    core_distance_A : of the time-invariant core; None: half the theoretical diameter (config/elements.yaml)
    core_method : "invariant" (the paper's definition, equal sizes) or "greedy" (as the authors' program)
    net_loss to initial : thresholds of the kinds of dynamics, as perrin.states.categories.RULES

    States that failed keep their row and number; changes and rates go from one state that did not fail to the next.
    """
    metal = look_up(element)
    nearest = lattice.nearest_distance(metal.system, metal.lattice_A)
    table, models = _read(windows, atoms, states, model_jsons)
    usable = [k for k, model in enumerate(models) if model is not None]
    docked, docks = _dock([models[k] for k in usable], metal, nearest)
    for k, how in zip(usable, docks):
        if how is not None and how.moved:
            log.warning("%s: state %d was %s", name, k + 1, how.why)
    gate = 0.5 * nearest if gate_A is None else float(gate_A)
    identity = follow_atoms(docked, gate)
    distance = metal.radius_A if core_distance_A is None else float(core_distance_A)
    members, centre = _core(docked, distance, core_method)
    cn = [coordination_numbers(m.xyz_A, cutoff(m.xyz_A, metal.system, metal.lattice_A)) for m in docked]
    rng = np.random.default_rng(seed)

    changed, rate_rows = [], []
    for here, there in zip(range(len(usable) - 1), range(1, len(usable))):
        found = between(docked[here], docked[there], identity[:, here], identity[:, there], hop_factor * nearest,
                        completeness)  # fmt: skip
        numbers = (usable[here] + 1, usable[there] + 1)
        changed += change_rows(found, docked[here], docked[there], cn[here], cn[there], numbers)
        rate_rows.append(_rate_row(table, found, docked, cn, here, there, numbers, rng, interval_level))

    states_table = _states_table(table, usable, docks, members, docked)
    write_table(states_csv, states_table, STATES_COLUMNS)
    write_table(changes, _frame(changed, CHANGES_COLUMNS), CHANGES_COLUMNS)
    in_core = np.zeros(len(identity), bool)
    core_id = np.zeros(len(centre), int)
    if len(members):
        core_id = np.array([np.flatnonzero(identity[:, 0] == row)[0] for row in members[:, 0]], dtype=int)
        in_core[core_id] = True
    write_table(lives, _lives_table(identity, docked, cn, table, usable, in_core), LIVES_COLUMNS)
    write_table(core, _core_table(core_id, members, centre, docked), CORE_COLUMNS)
    write_table(rates, _frame(rate_rows, RATES_COLUMNS), RATES_COLUMNS)
    good = table.iloc[usable]
    facts = categories.categorise(
        {column: good[column].to_numpy(float) for column in _SERIES},
        level=interval_level,
        least_states=least_states,
        least_probability=least_probability,
        seed=seed,
        rules={
            "net_loss": net_loss,
            "gain": gain,
            "still": still,
            "reversal": reversal,
            "step": step,
            "stable_core": stable_core,
            "initial": initial,
        },
    )
    facts |= {"trajectory": name, "element": metal.symbol, "windows": len(table), "core_atoms": len(centre)}
    facts |= {"core_distance_A": distance, "gate_A": gate, "docked": [bool(d and d.moved) for d in docks]}
    write_json(category, facts)
    _write_trajectory(trajectory_xyz, docked, identity, good, metal.symbol)
    log.info("%s: %s (%.0f %%): %s", name, facts["category"], 100 * facts["probability"], facts["why"])


_SERIES = (
    "time_s",
    "n_atoms",
    "n_atoms_low",
    "n_atoms_high",
    "fraction_cn_gt8",
    "fraction_cn_gt8_low",
    "fraction_cn_gt8_high",
)


def follow_atoms(models, gate_A):
    """(k, s) int: rows of each atom in the models (list of Atoms, docked), -1 where absent
    (perrin.states.lives.follow).
    """
    return follow([m.xyz_A for m in models], [m.covariance_A2 for m in models], gate_A)


def _read(windows, atoms, states, model_jsons):
    """(table of the states in time order, list of Atoms or None for failed ones)."""
    if not len(atoms) == len(states) == len(model_jsons):
        raise InputError("as many atoms as states as model files are needed, one of each a window")
    order = read_table(windows)["window"].tolist()
    rows, found = [], {}
    for path, state, facts in zip(atoms, states, model_jsons):
        row = read_table(state).iloc[0]
        failed = row["verdict"] == "failed" or read_json(facts).get("verdict") == "failed"
        found[row["window"]] = (row, None if failed else read_atoms(path, 0, 1.0))
    unknown = set(order) ^ set(found)
    if unknown:
        raise InputError(
            f"{windows}: window {sorted(unknown)[0]} has no state, or a state has no window; rerun segment"
        )
    for window in order:
        rows.append(found[window][0])
    return pd.DataFrame(rows).reset_index(drop=True), [found[window][1] for window in order]


def _dock(models, metal, nearest):
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


def _states_table(table, usable, docks, members, docked):
    """states.csv: the states' rows with their numbers, mass, core and docking."""
    out = table.copy()
    out.insert(0, "state", np.arange(1, len(table) + 1))
    for name in ("mass_pct", "core_share", "docked_share", "docked_second_share", "docked_rms_A"):
        out[name] = np.nan
    out["docked"] = False
    for k, how, model in zip(usable, docks, docked):
        out.loc[k, "mass_pct"] = 100 * len(model) / len(docked[0])
        out.loc[k, "core_share"] = len(members) / len(model)
        if how is not None:
            out.loc[k, ["docked_share", "docked_second_share", "docked_rms_A"]] = [
                how.share,
                how.second_share,
                how.rms_A,
            ]
            out.loc[k, "docked"] = how.moved
    return out[list(STATES_COLUMNS)]


def _lives_table(identity, docked, cn, table, usable, in_core):
    """lives.csv: one row an atom."""
    rows = []
    for k, row in enumerate(identity):
        at = np.flatnonzero(row >= 0)
        first, last = at[0], at[-1]
        where = np.array([docked[s].xyz_A[row[s]] for s in at])
        doubt = np.prod([1 - docked[s].probability[row[s]] for s in at])
        number = int(cn[first][row[first]])
        values = (
            k + 1, *where[0], life_name(row >= 0), usable[first] + 1, usable[last] + 1,
            int(table["first_frame"][usable[first]]), int(table["last_frame"][usable[last]]),
            len(at), int(last - first + 1 - len(at)), " ".join(str(r + 1) for r in row), bool(in_core[k]), 1 - doubt,
            number, site_kinds([number])[0], np.sqrt(((where - where.mean(0)) ** 2).sum(1).mean()),
        )  # fmt: skip
        rows.append(dict(zip(LIVES_COLUMNS, values)))
    return _frame(rows, LIVES_COLUMNS)


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


def _frame(rows, columns):
    """A DataFrame of rows with all columns, also without rows."""
    return pd.DataFrame(rows, columns=list(columns))


def _write_trajectory(path, docked, identity, table, symbol):
    """All states as one extended XYZ, each atom with its identity."""
    reach = max((np.abs(m.xyz_A).max() for m in docked if len(m)), default=10.0)
    box = 2 * int(np.ceil(reach / 2 + 2))  # the cell; positions stay as in atoms.csv
    models, infos = [], []
    for s, model in enumerate(docked):
        atom_id = np.zeros(len(model), int)
        held = identity[:, s] >= 0
        atom_id[identity[held, s]] = np.flatnonzero(held) + 1
        xyz = model.xyz_A - box // 2
        extra = {"atom_id": atom_id}
        models.append(Atoms(xyz, model.occupancy, model.covariance_A2, model.probability, symbol, extra))
        infos.append({"window": table["window"].iloc[s], "verdict": table["verdict"].iloc[s]})
    write_trajectory_xyz(path, models, table["time_s"].to_numpy(float), box, 1.0, infos)
