"""The figures of a trajectory: series over time, frames over time, resolution, directions, order against size."""

import numpy as np

from perrin.imaging.rotations import matrices
from perrin.report import plots

SERIES = {
    "n_atoms": "atoms",
    "fraction_cn_gt8": "share with CN > 8",
    "mean_radial_strain_pct": "mean radial strain (%)",
    "penetration_depth_A": "penetration depth (Å)",
    "crystallinity": "crystallinity",
    "mean_validity": "mean validity",
}
# what the tables beside the saved figures hold
FIGURE_COLUMNS = {
    "trajectory": ("", "name of the trajectory"),
    "state": ("", "number of the window of time, from 1"),
    "verdict": ("", "good, doubtful or failed"),
    "frame": ("", "frame of the movie, from 0"),
    "time_s": ("s", "time, or middle of the frames that were put together"),
    "first_s": ("s", "begin of the window"),
    "last_s": ("s", "end of the window"),
    "value": ("", "the number that the figure is named after, in the unit of its axis"),
    "value_low": ("", "lower end of its interval; of frames put together, their 10 % quantile"),
    "value_high": ("", "upper end of its interval; of frames put together, their 90 % quantile"),
    "frequency_per_A": ("1/A", "spatial frequency"),
    "fsc": ("", "Fourier shell correlation of the half maps"),
    "fsc_unmasked": ("", "the same without a mask"),
    "fsc_random": ("", "the same with phases randomised beyond a frequency"),
    "view_x": ("", "direction along which the beam passed the particle, body axis x, folded to z >= 0"),
    "view_y": ("", "the same, y"),
    "view_z": ("", "the same, z"),
    "n_atoms": ("", "atoms"),
    "n_atoms_low": ("", "lower end of its interval"),
    "n_atoms_high": ("", "upper end of its interval"),
    "crystallinity": ("", "crystallinity"),
    "crystallinity_low": ("", "lower end of its interval"),
    "crystallinity_high": ("", "upper end of its interval"),
    "depth_A": ("A", "depth below the surface"),
    "cn": ("", "coordination number"),
    "cn_low": ("", "lower end of its interval"),
    "cn_high": ("", "upper end of its interval"),
    "share_pct": ("%", "share of the state's atoms"),
    "strain_radial_pct": ("%", "radial strain of an atom"),
    "distance_A": ("A", "distance of two atoms"),
    "g": ("", "radial distribution"),
}
RESOLUTION = 0.143
BINS = 240
TIME_PARTS = 5


def series(states, frame_rate_hz):
    """{column: Picture} of the states' headline numbers over time with their intervals.

    states : DataFrame of dynamics/states.csv; a failed window is a red span without a value
    """
    first = states["first_frame"].to_numpy(float) / frame_rate_hz
    last = (states["last_frame"].to_numpy(float) + 1) / frame_rate_hz
    failed = states["verdict"].to_numpy() == "failed"
    found = {}
    for column, label in SERIES.items():
        if column not in states:
            continue
        value, low, high = (
            np.where(failed, np.nan, states[name].to_numpy(float)) if name in states else np.full(len(states), np.nan)
            for name in (column, f"{column}_low", f"{column}_high")
        )  # fmt: skip
        if not np.isfinite(value).any():
            continue
        on = plots.axes([*first, *last], [*value, *low, *high])
        parts = [plots.frame(on, "time (s)", label)]
        for a, b in zip(first[failed], last[failed]):
            parts.append(plots.box(on, a, b, None, None, "failed"))
        for a, b, l, h in zip(first, last, low, high):
            if np.isfinite([l, h]).all():
                parts.append(plots.box(on, a, b, l, h, "band s1"))
        middle = (first + last) / 2
        parts.append(plots.line(on, middle[~failed], value[~failed], "joint"))
        for a, b, v in zip(first, last, value):
            if np.isfinite(v):
                parts.append(plots.line(on, [a, b], [v, v], "s1"))
        titles = [f"state {k + 1}: {v:.4g}" + (f" ({l:.4g} to {h:.4g})" if np.isfinite([l, h]).all() else "")
                  for k, (v, l, h) in enumerate(zip(value, low, high))]  # fmt: skip
        parts.append(plots.dots(on, middle, value, "s1", titles=titles))
        said = ", ".join(f"{v:.4g}" for v in value[np.isfinite(value)][:8])
        data = {"state": np.arange(1, len(value) + 1), "verdict": states["verdict"].tolist(), "first_s": first,
                "last_s": last, "value": value, "value_low": low, "value_high": high}  # fmt: skip
        found[column] = plots.Picture(
            plots.svg(on, parts, f"{label} over time, with intervals: {said}"), data
        )
    return found


def spark(states, frame_rate_hz, width=120, height=28):
    """SVG of the number of atoms over time without axes, for a line of a list; a failed window leaves a gap."""
    first = states["first_frame"].to_numpy(float) / frame_rate_hz
    last = (states["last_frame"].to_numpy(float) + 1) / frame_rate_hz
    failed = states["verdict"].to_numpy() == "failed"
    atoms = np.where(failed, np.nan, states["n_atoms"].to_numpy(float))
    if not np.isfinite(atoms).any():
        return None
    time = (first.min(), last.max())
    low, high = plots.limits(atoms, 0.15)
    path = ""
    for a, b, n in zip(first, last, atoms):
        if np.isfinite(n):
            x0, x1 = (width * (t - time[0]) / (time[1] - time[0]) for t in (a, b))
            path += f"M{x0:.1f} {height * (high - n) / (high - low):.1f}H{x1:.1f}"
    said = ", ".join(f"{n:.0f}" for n in atoms[np.isfinite(atoms)][:8])
    on = plots.Axes(width, height, (0, 1), (0, 1))
    return plots.svg(on, [f'<path class="line s1" d="{path}"/>'], f"Atoms over time: {said}")


def over_time(table, column, label, windows, frame_rate_hz, kind="s1", extra=()):
    """Picture of a number per frame over time: median and 10 to 90 % of neighbours, windows as bars below.

    table : DataFrame with frame and the column; windows : DataFrame of windows.tsv or None
    extra : boundaries to mark besides (frames), such as the true ones
    """
    time = table["frame"].to_numpy(float) / frame_rate_hz
    x, low, mid, high = plots.binned(time, table[column].to_numpy(float), BINS)
    span = [0.0, *time]
    if windows is not None and len(windows):
        span += [(windows["last_frame"].max() + 1) / frame_rate_hz]
    on = plots.axes(span, [*low, *high], width=720, height=190)
    parts = [plots.frame(on, "time (s)", label)]
    if windows is not None:
        for index, row in enumerate(windows.to_dict("records")):
            a, b = row["first_frame"] / frame_rate_hz, (row["last_frame"] + 1) / frame_rate_hz
            parts.append(plots.box(on, a, b, None, None, f"window{index % 2}"))
            bounds = [row.get(name, np.nan) for name in ("first_low", "first_high")]
            if index and np.isfinite(np.array(bounds, float)).all():
                parts.append(plots.box(on, bounds[0] / frame_rate_hz, (bounds[1] + 1) / frame_rate_hz, None, None,
                                       "doubt"))  # fmt: skip
    parts += [plots.band(on, x, low, high, kind), plots.line(on, x, mid, kind)]
    parts += [plots.upright(on, frame / frame_rate_hz, "truth") for frame in extra]
    alt = f"{label} of the frames over time: median and the middle 80 %"
    return plots.Picture(
        plots.svg(on, parts, alt), {"time_s": x, "value": mid, "value_low": low, "value_high": high}
    )


def fsc(table, pixel_A, resolution_A=None):
    """(Picture, resolution in angstrom or None) of the half maps' Fourier shell correlation.

    resolution_A : where it is known; else the last shell above RESOLUTION, since a crystal's curve dips between
        reflections
    """
    x, y = table["frequency_per_A"].to_numpy(float), table["fsc"].to_numpy(float)
    known = np.isfinite(x) & np.isfinite(y) & (x <= 0.5 / pixel_A + 1e-9)
    x, y = x[known], y[known]
    if len(x) < 2:
        return None, None
    data = {"frequency_per_A": x, "fsc": y}
    data |= {
        column: table[column].to_numpy(float)[known]
        for column in ("fsc_unmasked", "fsc_random")
        if column in table and table[column].notna().any()
    }
    drawn = np.concatenate([data[column] for column in data if column != "frequency_per_A"])
    on = plots.Axes(340, 210, (0.0, float(x.max())), (min(-0.1, float(np.nanmin(drawn))), 1.05))
    parts = [plots.frame(on, "spatial frequency (1/Å)", "FSC"), plots.level(on, RESOLUTION, "0.143")]
    for column, kind in (("fsc_unmasked", "s2 thin"), ("fsc_random", "s4 thin"), ("fsc", "s1")):
        if column in data:
            parts.append(plots.line(on, x, data[column], kind))
    above = np.flatnonzero(y >= RESOLUTION)
    if resolution_A is None and len(above):
        resolution_A = float(1 / x[above[-1]])
    words = "nowhere above 0.143"
    if resolution_A is not None and np.isfinite(resolution_A):
        words = f"the halves agree up to {resolution_A:.2f} Å"
        if 1 / resolution_A <= x[-1]:
            parts.append(plots.upright(on, 1 / resolution_A))
    alt = f"Fourier shell correlation of the half maps, {words}"
    return plots.Picture(plots.svg(on, parts, alt), data), resolution_A


def directions(poses, most=3000, edge=300):
    """Picture of the directions along which the beam passed the particle, early to late in five colours.

    Equal-area map of half a sphere about the body's z axis (Lambert): views from behind, whose projections are
    mirror images, are folded in. poses : Poses
    """
    if not len(poses):
        return None
    rows = np.unique(np.linspace(0, len(poses) - 1, most).astype(int))
    beam = matrices(poses.quaternion[rows])[:, 2]
    beam = np.where(beam[:, 2:] < 0, -beam, beam)
    radius = np.sqrt(np.maximum(1 - beam[:, 2], 0))
    along = np.hypot(beam[:, 0], beam[:, 1])
    unit = beam[:, :2] / np.maximum(along, 1e-12)[:, None]
    half = edge / 2
    place = half + (half - 26) * radius[:, None] * unit * [1, -1]
    parts, labels = [], []
    for tilt in (30, 60, 90):
        r = (half - 26) * np.sqrt(1 - np.cos(np.radians(tilt)))
        parts.append(f'<circle class="grid" cx="{half}" cy="{half}" r="{r:.1f}"/>')
        labels.append(f'<text class="over" x="{half + 3}" y="{half - r - 3:.1f}">{tilt}°</text>')
    parts.append(f'<path class="grid" d="M{26} {half}H{edge - 26}M{half} {26}V{edge - 26}"/>')
    labels.append(
        f'<text x="{edge - 22}" y="{half + 4}">x</text><text x="{half - 4}" y="{edge - 8}">−y</text>'
    )
    part = np.minimum(TIME_PARTS * np.arange(len(rows)) // max(len(rows), 1), TIME_PARTS - 1)
    for k in range(TIME_PARTS):
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in place[part == k])
        parts.append(f'<path class="view v{k}" d="{path}"/>')
    parts += labels
    on = plots.Axes(edge, edge, (0, 1), (0, 1))
    data = {"frame": np.asarray(poses.frame)[rows]} | {f"view_{a}": beam[:, k] for k, a in enumerate("xyz")}
    alt = f"Directions of view of {len(poses)} frames on half a sphere"
    return plots.Picture(plots.svg(on, parts, alt), data)


def order_and_size(states, names):
    """Picture of crystallinity against the number of atoms, one mark a state; None where there are fewer than two.

    states : DataFrame of summary/states.csv; names : trajectories in the order of their colours
    """
    good = states[states["verdict"] != "failed"]
    good = good[good["crystallinity"].notna() & good["n_atoms"].notna()]
    if len(good) < 2:
        return None
    both = {c: good[[c, f"{c}_low", f"{c}_high"]].to_numpy(float) for c in ("n_atoms", "crystallinity")}
    x = both["n_atoms"]
    on = plots.axes(x, both["crystallinity"], width=480, height=280)
    wide = (x.max() - x.min()) * 0.04 or 1
    on = plots.Axes(on.width, on.height, (on.x[0] - wide, on.x[1] + wide), on.y)
    parts = [plots.frame(on, "atoms", "crystallinity")]
    for name in names:
        rows = (good["trajectory"] == name).to_numpy()
        kind = f"s{1 + list(names).index(name) % 8}"
        a, b = both["n_atoms"][rows], both["crystallinity"][rows]
        titles = [f"{name}, state {s}" for s in good["state"][rows]]
        parts.append(plots.whiskers(on, a[:, 0], b[:, 1], b[:, 2], kind))
        parts.append(plots.whiskers(on, b[:, 0], a[:, 1], a[:, 2], kind, across=True))
        parts.append(plots.dots(on, a[:, 0], b[:, 0], kind, titles=titles))
    data = {"trajectory": good["trajectory"].tolist(), "state": good["state"].to_numpy()}
    data |= {c: good[c].to_numpy() for name in both for c in (name, f"{name}_low", f"{name}_high")}
    alt = f"Crystallinity against the number of atoms of {len(good)} states"
    return plots.Picture(plots.svg(on, parts, alt), data)
