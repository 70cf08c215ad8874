"""The figure of the events: one line each with its interval, and the number of atoms over time."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from perrin.files.atomic import whole

COLOURS = {"left": "#D55E00", "arrived": "#0072B2", "moved": "#009E73"}  # distinct to the colour-blind


def write_figure(path, rows, number, atoms, frame_rate_hz, starts=(), sentence=""):
    """Draw the events of a trajectory; the same data give the same bytes.

    rows : dicts with event, frame, frame_low, frame_high in time order; number (f,): frames; atoms (f,): present
    starts : first frames of windows, drawn as lines; sentence : said above, or instead where there are no frames
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["svg.hashsalt"] = "perrin"
        if not len(number):
            figure = Figure(figsize=(7, 1.2), layout="constrained")
            figure.text(0.5, 0.5, sentence, ha="center", va="center", wrap=True)
        else:
            figure = _drawn(rows, np.asarray(number), atoms, frame_rate_hz, starts, sentence)
        with whole(path) as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None, "Creator": None})


def _drawn(rows, number, atoms, frame_rate_hz, starts, sentence):
    figure = Figure(figsize=(8, 4.8), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for name, colour in COLOURS.items():
        some = [(place, row) for place, row in enumerate(rows, 1) if row["event"] == name]
        if not some:
            continue
        places = [place for place, _ in some]
        times = np.array([[row[key] for key in ("frame", "frame_low", "frame_high")] for _, row in some])
        times = times / frame_rate_hz
        top.hlines(places, times[:, 1], times[:, 2], color=colour, lw=1.5)
        top.plot(times[:, 0], places, ".", color=colour, ms=4, label=f"{name} ({len(some)})")
    for axis in (top, bottom):
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        for start in starts:
            axis.axvline(start / frame_rate_hz, color="0.8", lw=0.8, zorder=0)
    if rows:
        top.legend(loc="best", frameon=False, fontsize=8)
    top.set_ylabel("event")
    top.set_ylim(0, len(rows) + 1)
    top.set_title(sentence, fontsize=9)
    bottom.step(number / frame_rate_hz, atoms, where="post", color="black", lw=1)
    bottom.set_ylabel("atoms")
    bottom.set_xlabel("time (s)")
    return figure
