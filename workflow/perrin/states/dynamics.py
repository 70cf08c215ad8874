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
from perrin.states.series import KINDS, dock_all, follow_states
from perrin.states.statistics import STATE_COLUMNS

log = logging.getLogger("perrin")

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
    docked, docks = dock_all([models[k] for k in usable], metal, nearest)
    for k, how in zip(usable, docks):
        if how is not None and how.moved:
            log.warning("%s: state %d was %s", name, k + 1, how.why)
    found = follow_states(
        table, docked, metal, nearest, name=name, seed=seed, numbers=[k + 1 for k in usable], gate_A=gate_A,
        hop_factor=hop_factor, completeness=completeness, core_distance_A=core_distance_A, core_method=core_method,
        interval_level=interval_level,
    )  # fmt: skip
    members, centre, identity = found["members"], found["centre"], found["identity"]

    write_table(states_csv, _states_table(table, usable, docks, members, docked), STATES_COLUMNS)
    write_table(changes, _frame(found["changes"], CHANGES_COLUMNS), CHANGES_COLUMNS)
    write_table(lives, _frame(found["lives"], LIVES_COLUMNS), LIVES_COLUMNS)
    write_table(core, found["core"], CORE_COLUMNS)
    write_table(rates, _frame(found["rates"], RATES_COLUMNS), RATES_COLUMNS)
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
    facts |= {
        "core_distance_A": found["core_distance_A"],
        "gate_A": found["gate_A"],
        "docked": [bool(d and d.moved) for d in docks],
    }
    write_json(category, facts)
    write_states_xyz(trajectory_xyz, docked, identity, good, metal.symbol)
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


def _frame(rows, columns):
    """A DataFrame of rows with all columns, also without rows."""
    return pd.DataFrame(rows, columns=list(columns))


def write_states_xyz(path, docked, identity, table, symbol):
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
