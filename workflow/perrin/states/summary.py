"""Stage `summary`: all trajectories side by side: their states, their kinds, and how order goes with size
and strain.
"""

import numpy as np
import pandas as pd

from perrin.files.atomic import read_json
from perrin.files.tables import read_table, write_table
from perrin.states.dynamics import STATES_COLUMNS
from perrin.states.summary_figure import write_figures

TRAJECTORIES_COLUMNS = {
    "trajectory": ("", "name of the trajectory"),
    "element": ("", "chemical symbol"),
    "category": ("", "kind of its dynamics (docs/categories.md), or undetermined"),
    "category_probability": ("", "share of draws within the errors that are named so"),
    "why": ("", "what says so"),
    "verdict": ("", "good, doubtful or failed"),
    "states": ("", "number of states that did not fail"),
    "failed": ("", "number of states that failed"),
    "duration_s": ("s", "from the first to the last frame of these states"),
    "first_atoms": ("", "number of atoms of the first state"),
    "last_atoms": ("", "number of atoms of the last state"),
    "net_change_pct": ("%", "change of the number of atoms, first to last"),
    "size_class": ("", "small, medium or large, by the first state's atoms"),
    "net_per_s": ("1/s", "change of the number of atoms over the time between the first and the last window's middle"),
    "linear_r2": ("", "share of the variance of the number of atoms that a straight line in time explains"),
    "fraction_cn_gt8_first": ("", "share of atoms with more than 8 neighbours, first state"),
    "fraction_cn_gt8_last": ("", "the same, last state"),
    "fraction_cn_gt8_range": ("", "largest minus smallest over the states"),
    "penetration_depth_change_A": ("A", "last minus first state"),
    "mean_radial_strain_change_pct": ("%", "last minus first state"),
    "crystallinity_mean": ("", "mean over the states"),
    "crystallinity_min": ("", "smallest over the states"),
    "r_strain_crystallinity": ("", "Pearson's R of mean radial strain and crystallinity over the states; 3 at least"),
    "p_strain_crystallinity": ("", "its two-sided p-value"),
    "r_time_crystallinity": ("", "Pearson's R of time and crystallinity over the states"),
    "core_share_last": ("", "share of the last state's atoms that belong to the time-invariant core"),
}  # fmt: skip


def summary(
    *, states, categories, states_table, trajectories_table, figure_png, figure_svg,
    small_below, large_from, figure_dpi,
):  # fmt: skip
    """Write the tables and figures over all trajectories.

    states, categories : lists of dynamics/states.csv and dynamics/category.json, one of each a trajectory
    states_table, trajectories_table : csv to write; figure_png, figure_svg : the same figure twice
    small_below, large_from : atoms of the first state that part the size classes
    """
    tables = [read_table(path) for path in states]
    facts = [read_json(path) for path in categories]
    everything = (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(STATES_COLUMNS))
    )
    everything["docked"] = everything["docked"].astype(bool)
    rows = [_row(table, fact, small_below, large_from) for table, fact in zip(tables, facts, strict=True)]
    # by reindex: after a failure, states of trajectories that have not been made anew may lack a newer column
    write_table(states_table, everything.reindex(columns=list(STATES_COLUMNS)), STATES_COLUMNS)
    write_table(
        trajectories_table, pd.DataFrame(rows, columns=list(TRAJECTORIES_COLUMNS)), TRAJECTORIES_COLUMNS
    )
    write_figures(tables, facts, figure_png, figure_svg, figure_dpi)


def _row(table, fact, small_below, large_from):
    """One row of trajectories.csv."""
    good = table[table["verdict"] != "failed"]
    row = {
        "trajectory": fact["trajectory"],
        "element": fact["element"],
        "category": fact["category"],
        "category_probability": fact["probability"],
        "why": fact["why"],
        "verdict": fact["verdict"],
        "states": len(good),
        "failed": len(table) - len(good),
    }
    if not len(good):
        return row | {"size_class": ""}
    first, last = good.iloc[0], good.iloc[-1]
    n, time = good["n_atoms"].to_numpy(float), good["time_s"].to_numpy(float)
    seconds = time[-1] - time[0]
    frames = last["last_frame"] + 1 - first["first_frame"]
    row |= {
        "duration_s": frames * _seconds_per_frame(good),
        "first_atoms": n[0],
        "last_atoms": n[-1],
        "net_change_pct": 100 * (n[-1] - n[0]) / n[0],
        "size_class": "small" if n[0] < small_below else "large" if n[0] >= large_from else "medium",
        "net_per_s": (n[-1] - n[0]) / seconds if seconds > 0 else np.nan,
        "linear_r2": pearson(time, n)[0] ** 2,
        "fraction_cn_gt8_first": first["fraction_cn_gt8"],
        "fraction_cn_gt8_last": last["fraction_cn_gt8"],
        "fraction_cn_gt8_range": np.ptp(good["fraction_cn_gt8"]),
        "penetration_depth_change_A": last["penetration_depth_A"] - first["penetration_depth_A"],
        "mean_radial_strain_change_pct": last["mean_radial_strain_pct"] - first["mean_radial_strain_pct"],
        "crystallinity_mean": good["crystallinity"].mean(),
        "crystallinity_min": good["crystallinity"].min(),
        "core_share_last": last["core_share"],
    }
    r, p = pearson(good["mean_radial_strain_pct"], good["crystallinity"])
    return row | {
        "r_strain_crystallinity": r,
        "p_strain_crystallinity": p,
        "r_time_crystallinity": pearson(time, good["crystallinity"])[0],
    }


def _seconds_per_frame(good):
    """From the first state's middle: (first + last + 1) / 2 frames lie before it."""
    row = good.iloc[0]
    return 2 * row["time_s"] / (row["first_frame"] + row["last_frame"] + 1)


def pearson(x, y):
    """(R, two-sided p) of the finite pairs; NaN for fewer than 3, or where one does not vary."""
    from scipy.stats import pearsonr

    x, y = np.asarray(x, float), np.asarray(y, float)
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return np.nan, np.nan
    found = pearsonr(x, y)
    return float(found.statistic), float(found.pvalue)
