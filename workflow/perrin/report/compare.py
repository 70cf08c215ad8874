"""A series of published models side by side, without any movie: docked, followed, described, and one page about it."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from perrin.files.atomic import write_json, write_text
from perrin.files.coordinates import read_coordinates
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.models import write_atoms
from perrin.files.shipped import shipped
from perrin.files.tables import write_table
from perrin.imaging import lattice
from perrin.report import compare_figures
from perrin.report.atoms3d import scene
from perrin.report.page import render
from perrin.report.tables import link, shown, table
from perrin.report.words import listed, number, plural
from perrin.states import neighbours
from perrin.states.bootstrap import normal_quantile
from perrin.states.categories import categorise
from perrin.states.dynamics import (
    CHANGES_COLUMNS,
    CORE_COLUMNS,
    LIVES_COLUMNS,
    RATES_COLUMNS,
    STATES_COLUMNS,
    write_states_xyz,
)
from perrin.states.particle import check, particle_of
from perrin.states.series import dock_all, follow_states
from perrin.states.statistics import ATOM_STATS_COLUMNS, DEPTH_COLUMNS, write_b_column_pdb
from perrin.version import VERSION

log = logging.getLogger("perrin")

MOST_ATOMS = 3000  # the page draws no more of a state
FRAMES = ("window", "first_frame", "last_frame")
OF_MODELS = {"file": ("", "where the model comes from")} | {
    name: said for name, said in STATES_COLUMNS.items() if name not in FRAMES
}
OF_MODELS["time_s"] = (
    "s",
    "time of the model, as given; its place in the series, from 0, where none was",
)
MODELS = {
    "state": "state", "file": "file", "time_s": "time (s)", "n_atoms": "atoms", "structure": "structure",
    "diameter_hull_A": "diameter, hull (Å)", "fraction_cn_gt8": "CN > 8", "mean_cn": "mean CN",
    "lattice_A": "lattice (Å)", "mean_radial_strain_pct": "radial strain (%)",
    "penetration_depth_A": "penetration depth (Å)", "crystallinity": "crystallinity", "core_share": "core share",
    "disordered_atoms": "disordered atoms", "docked_share": "matched",
}  # fmt: skip
RATES = {
    "from_state": "from", "to_state": "to", "interval_s": "apart (s)", "atoms_before": "atoms before",
    "atoms_after": "after", "stayed": "stayed", "left": "left", "arrived": "arrived", "moved": "moved",
    "association_per_s": "gained (1/s)", "dissociation_per_s": "lost (1/s)", "net_per_s": "net (1/s)",
    "median_shift_A": "shift of those that stayed (Å)",
}  # fmt: skip
CHANGES = {
    "from_state": "from", "to_state": "to", "change": "change", "atom_id": "atom", "x_A": "x (Å)", "y_A": "y (Å)",
    "z_A": "z (Å)", "cn": "CN", "site_kind": "site",
}  # fmt: skip


def compare(paths, out, times_s=None, element=None, name="particle", seed=0, **settings):
    """Compare models of one particle in time order. Returns {"index": page, "text": words for the terminal}.

    paths : files of coordinates (perrin.files.coordinates), one model each, or one file of several
    out : folder; written below it: index.html, states, changes, lives, core and rates (csv), category.json,
        trajectory.extxyz, and stateN/ with atoms.csv, atoms_stats.csv, depth.csv and, with the strain (%)
        and the core (1, fringe 0) in the B column, strain.pdb and core.pdb
    times_s : of each model, seconds, rising; None: unknown, then there are no rates
    element, settings : as perrin.states.particle.particle

    All positions written are in the frame of the first model: each is brought onto the one before by a rigid motion
    where that matches 5 % more atoms. InputError for fewer than two models, times that do not fit, several elements.
    """
    out = Path(out)
    models, files = _read(paths, element)
    times = _times(times_s, len(models))
    metal = look_up(models[0].element)
    nearest = lattice.nearest_distance(metal.system, metal.lattice_A)
    volume = lattice.volume_per_atom(metal.system, metal.lattice_A, metal.c_over_a)
    docked, docks = dock_all(models, metal, nearest)
    states, profiles, distributions, rows = [], [], [], []
    for k, (atoms, file) in enumerate(zip(docked, files), 1):
        row, profile = _describe(out / f"state{k}", atoms, file, seed, settings)
        row |= {
            "trajectory": name,
            "file": file,
            "time_s": times[k - 1],
            "state": k,
            "verdict": "good",
            "why": "",
        }
        states.append(row)
        profiles.append(profile)
        distributions.append(neighbours.radial_distribution(atoms.xyz_A, volume, width_A=0.06))
        rows.append(k)
    series = pd.DataFrame(states)
    series["first_frame"] = series["last_frame"] = np.arange(len(series))
    found = follow_states(series, docked, metal, nearest, name=name, seed=seed, numbers=rows)
    series["mass_pct"] = [100 * len(m) / len(docked[0]) for m in docked]
    series["core_share"] = [len(found["members"]) / len(m) for m in docked]
    for key in ("share", "second_share", "rms_A", "moved"):
        series["docked" if key == "moved" else f"docked_{key}"] = [
            (False if key == "moved" else np.nan) if how is None else getattr(how, key) for how in docks
        ]
    category = categorise({c: series[c].to_numpy(float) for c in SERIES}, seed=seed)
    _write(out, series, found, category, docked, metal, times_s is not None)
    page = _page(
        out, name, series, found, category, docks, metal, times_s is not None, profiles, distributions
    )
    write_text(out / "index.html", render(page, other=shipped("compare")))
    return {"index": out / "index.html", "text": page["text"]}


SERIES = (
    *("time_s", "n_atoms", "n_atoms_low", "n_atoms_high"),
    *("fraction_cn_gt8", "fraction_cn_gt8_low", "fraction_cn_gt8_high"),
)


def _read(paths, element):
    """(list of Atoms, list of their names) of one file of several models or several files of one."""
    models, files = [], []
    for path in paths:
        found = read_coordinates(path, element)
        if len(found) > 1 and len(paths) > 1:
            raise InputError(
                f"{path}: holds {len(found)} models; give files of one model each, or this one alone"
            )
        models += found
        files += [
            Path(path).name if len(found) == 1 else f"{Path(path).name} {k}" for k in range(1, len(found) + 1)
        ]
    if len(models) < 2:
        raise InputError(f"{paths[0]}: one model; a comparison needs at least two, in time order")
    for atoms, file in zip(models, files):
        check(atoms, file)
    symbols = sorted({atoms.element for atoms in models})
    if len(symbols) > 1:
        raise InputError(f"the models hold {', '.join(symbols)}; a series is of one element")
    return models, files


def _times(times_s, count):
    """(count,) seconds, or places in the series where no times are known."""
    if times_s is None:
        return np.arange(count, dtype=float)
    times = np.asarray(times_s, float)
    if len(times) != count:
        raise InputError(f"--times has {len(times)} numbers for {count} models; give one each, in seconds")
    if not np.isfinite(times).all() or not (np.diff(times) > 0).all():
        raise InputError(
            "--times must rise from model to model; give the models in time order, times in seconds"
        )
    return times


def _describe(folder, atoms, file, seed, settings):
    """Write what one model says by itself; (row of states.csv, depth profile)."""
    found = particle_of(atoms, file, seed=seed, **settings)
    write_atoms(folder / "atoms.csv", type(atoms)(
        atoms.xyz_A, atoms.occupancy, atoms.covariance_A2, atoms.probability, atoms.element), 0, 1.0)  # fmt: skip
    write_table(folder / "atoms_stats.csv", found.per_atom, ATOM_STATS_COLUMNS)
    write_table(folder / "depth.csv", found.depth, DEPTH_COLUMNS)
    write_b_column_pdb(
        folder / "strain.pdb", atoms, found.per_atom["strain_radial_pct"], "RADIAL STRAIN IN PERCENT"
    )
    return dict(found.state) | {"scale_error_pct": np.nan}, found.depth


def _write(out, series, found, category, docked, metal, timed):
    """The tables of the series."""
    known = [name for name in OF_MODELS if name in series]
    write_table(out / "states.csv", series[known], OF_MODELS)
    write_table(
        out / "changes.csv", pd.DataFrame(found["changes"], columns=list(CHANGES_COLUMNS)), CHANGES_COLUMNS
    )
    lives = pd.DataFrame(found["lives"], columns=list(LIVES_COLUMNS))
    write_table(out / "lives.csv", lives.drop(columns=["first_frame", "last_frame"]), LIVES_COLUMNS)
    write_table(out / "core.csv", found["core"], CORE_COLUMNS)
    rates = pd.DataFrame(found["rates"], columns=list(RATES_COLUMNS))
    if not timed:
        rates = rates.drop(columns=[c for c in rates if c.endswith("_s") or "_per_s" in c])
    write_table(out / "rates.csv", rates, RATES_COLUMNS)
    write_json(
        out / "category.json", category | {"element": metal.symbol, "core_atoms": len(found["centre"])}
    )
    for place, atoms in enumerate(docked):
        core = np.zeros(len(atoms))
        core[found["members"][:, place]] = 1.0
        write_b_column_pdb(out / f"state{place + 1}/core.pdb", atoms, core, "1 TIME-INVARIANT CORE, 0 FRINGE")
    named = series.assign(window=series["file"])
    write_states_xyz(out / "trajectory.extxyz", docked, found["identity"], named, metal.symbol)


def _page(out, name, series, found, category, docks, metal, timed, profiles, distributions):
    """What the page shows."""
    index, lives = out / "index.html", table(out / "lives.csv")
    rows = series.to_dict("records")
    scenes = []
    for place, row in enumerate(rows):
        folder = out / f"state{place + 1}"
        # everything was written in the frame of the first model
        view = scene(folder, lives, (place, row | {"docked": False}), metal, MOST_ATOMS)
        files = ("atoms.csv", "atoms_stats.csv", "depth.csv", "strain.pdb", "core.pdb")
        scenes.append({"number": place + 1, "row": row, "scene": view, "how": docks[place],
                       "files": [{"name": f, "link": link(folder / f, index)} for f in files]})  # fmt: skip
    atoms = " → ".join(str(n) for n in series["n_atoms"].astype(int))
    core = len(found["centre"])
    changed = [_sentence(r, timed) for r in found["rates"]]
    text = [
        f"{name}: {atoms} {metal.symbol} atoms in {len(rows)} models; {core} atoms are the time-invariant core."
    ]
    text += changed + [f"Dynamics: {category['category']}: {category['why']}."]
    rates = table(out / "rates.csv")
    tables = [f"{t}.csv" for t in ("states", "changes", "lives", "core", "rates")]
    per_atom = [table(out / f"state{s['number']}/atoms_stats.csv") for s in scenes]
    kinds = pd.Series([r["life"] for r in found["lives"]]).value_counts()
    return {
        "name": name,
        "element": metal.symbol,
        "text": "\n".join(text),
        "found": text[0],
        "changed": changed,
        "category": category,
        "scenes": scenes,
        "drawn": [s for s in scenes if s["scene"]],
        "states": shown(out / "states.csv", _for_people(table(out / "states.csv")), _timed(MODELS, timed), 200, index),
        "rates": shown(out / "rates.csv", rates, RATES, 200, index),
        "changes": shown(out / "changes.csv", table(out / "changes.csv"), CHANGES, 200, index),
        "lives": listed(f"{int(kinds[k])} {k}" for k in ("present", "left", "arrived", "visited") if k in kinds),
        "followed": len(found["lives"]),
        "core": core,
        "core_distance_A": found["core_distance_A"],
        "lattice_bulk_A": rows[0]["lattice_bulk_A"],
        "series": compare_figures.series(series, timed),
        "depth": compare_figures.depth(profiles),
        "coordination": compare_figures.coordination(rows),
        "distribution": compare_figures.distribution(distributions),
        "order": compare_figures.order_and_size(series) if len(series) > 1 else None,
        "strain": compare_figures.strain_and_depth(per_atom),
        "files": [{"name": f, "link": f} for f in (*tables, "category.json", "trajectory.extxyz")],
        "version": VERSION,
        "timed": timed,
    }  # fmt: skip


def _for_people(states):
    """The table as the page shows it: no interval of a number that is sure, one of the lattice constant."""
    states = states.astype({"n_atoms_low": float, "n_atoms_high": float})
    sure = states["n_atoms_low"] == states["n_atoms_high"]
    states.loc[sure, ["n_atoms_low", "n_atoms_high"]] = np.nan
    half = normal_quantile(0.95) * states["lattice_sigma_A"]
    return states.assign(lattice_A_low=states["lattice_A"] - half, lattice_A_high=states["lattice_A"] + half)


def _timed(columns, timed):
    return columns if timed else {name: text for name, text in columns.items() if name != "time_s"}


def _sentence(rate, timed):
    """What happened between two states, in words."""
    text = (
        f"State {rate['from_state']} to {rate['to_state']}: {plural(rate['stayed'], 'atom')} stayed, "
        f"{rate['left']} left, {rate['arrived']} arrived, {rate['moved']} moved to a neighbouring site"
    )
    if timed:
        text += (
            f"; {number(rate['net_per_s'])} atoms/s ({number(rate['net_per_s_low'])} to "
            f"{number(rate['net_per_s_high'])}) over {number(rate['interval_s'])} s"
        )
    return text + "."
