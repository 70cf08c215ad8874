"""The figure over all trajectories: series in time with intervals, and order against size."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from perrin.files.atomic import whole

PANELS = [
    ("n_atoms", "atoms"),
    ("fraction_cn_gt8", "share with CN > 8"),
    ("mean_radial_strain_pct", "mean radial strain (%)"),
    ("penetration_depth_A", "penetration depth (Å)"),
    ("crystallinity", "crystallinity"),
]
# distinct to the colour-blind (Okabe and Ito)
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C"]
MARKERS = {"ESC": "o", "ESIP": "s", "EFC": "^", "ECT": "v", "FAC": "D", "FACHC": "P", "undetermined": "x"}
MOST_NAMED = 12


def write_figures(tables, facts, png, svg, dpi=150):
    """Draw the states of all trajectories; the same data give the same bytes.

    tables : list of states.csv as DataFrames; facts : list of category.json as dicts; png, svg : files to write
    """
    # no font size or backend from outside, ids of the SVG not by chance, no date
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "perrin"
        figure = draw(tables, facts)
        with whole(png) as path:
            figure.savefig(path, dpi=dpi, format="png", metadata={"Software": None})
        with whole(svg) as path:
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def draw(tables, facts):
    """The figure: five series over time, and crystallinity against the number of atoms."""
    figure = Figure(figsize=(11, 6.2), layout="constrained")
    axes = figure.subplots(2, 3)
    for ax, (column, label) in zip(axes.flat, PANELS):
        for index, (table, fact) in enumerate(zip(tables, facts)):
            good = table[table["verdict"] != "failed"]
            _series(ax, good["time_s"], good, column, index, fact)
        ax.set_xlabel("time (s)")
        ax.set_ylabel(label)
    last = axes.flat[5]
    for index, (table, fact) in enumerate(zip(tables, facts)):
        good = table[table["verdict"] != "failed"]
        _series(last, good["n_atoms"], good, "crystallinity", index, fact, line="none")
    last.set_xlabel("atoms")
    last.set_ylabel("crystallinity")
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        if not ax.has_data():
            ax.text(0.5, 0.5, "no state", ha="center", va="center", transform=ax.transAxes)
    if 0 < len(tables) <= MOST_NAMED:
        handles, labels = axes.flat[0].get_legend_handles_labels()
        if handles:
            figure.legend(
                handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False
            )
    return figure


def _series(ax, x, good, column, index, fact, line="-"):
    """One trajectory's values with their intervals."""
    y = good[column].to_numpy(float)
    if not np.isfinite(y).any():
        return
    low, high = (good[f"{column}_{side}"].to_numpy(float) for side in ("low", "high"))
    bars = np.nan_to_num(np.stack([y - low, high - y])).clip(0)
    ax.errorbar(
        x.to_numpy(float),
        y,
        yerr=bars,
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS.get(fact["category"], "x"),
        linestyle=line,
        linewidth=1.2,
        markersize=5,
        elinewidth=0.9,
        capsize=2,
        label=f"{fact['trajectory']} ({fact['category']})",
    )
