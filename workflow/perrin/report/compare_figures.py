"""The figures of a comparison of models: series with error bars; depth, coordination, distances of each state."""

import numpy as np

from perrin.report import plots
from perrin.report.figures import SERIES

COLOURS = 8


def colour(state):
    """Class of the series colour of a state, from 0."""
    return f"s{1 + state % COLOURS}"


def series(states, timed):
    """{column: Picture} of the states' headline numbers with their intervals, over time or state by state."""
    x = states["time_s"].to_numpy(float) if timed else states["state"].to_numpy(float)
    found = {}
    for column, label in SERIES.items():
        if column not in states:  # coordinates alone have no map
            continue
        value, low, high = (states[c].to_numpy(float) for c in (column, f"{column}_low", f"{column}_high"))
        if not np.isfinite(value).any():
            continue
        on = _room(x, [*value, *low, *high])
        parts = [plots.frame(on, "time (s)" if timed else "state", label, None if timed else x)]
        parts += [plots.line(on, x, value, "joint"), plots.whiskers(on, x, low, high, "s1")]
        titles = [
            f"state {k + 1}: {v:.4g} ({l:.4g} to {h:.4g})"
            for k, (v, l, h) in enumerate(zip(value, low, high))
        ]
        parts.append(plots.dots(on, x, value, "s1", titles=titles))
        said = ", ".join(f"{v:.4g}" for v in value[np.isfinite(value)][:8])
        data = {"state": states["state"].to_numpy(), "value": value, "value_low": low, "value_high": high}
        alt = f"{label} of the states, with intervals: {said}"
        found[column] = plots.Picture(plots.svg(on, parts, alt), data)
    return found


def depth(profiles):
    """Picture of the coordination against depth, a line a state with its interval; None without any."""
    known = [(k, p) for k, p in enumerate(profiles) if p is not None and len(p["depth_A"])]
    if not known:
        return None
    on = plots.axes(
        np.concatenate([p["depth_A"] for _, p in known]),
        np.concatenate([[*p["cn_low"], *p["cn_high"]] for _, p in known]),
        width=480,
        height=280,
    )
    parts = [plots.frame(on, "depth below the surface (Å)", "coordination")]
    for k, p in known:
        parts += [plots.band(on, p["depth_A"], p["cn_low"], p["cn_high"], colour(k))]
    parts += [plots.line(on, p["depth_A"], p["cn"], colour(k)) for k, p in known]
    columns = ("depth_A", "cn", "cn_low", "cn_high")
    data = _joined([(k, [p[c] for c in columns]) for k, p in known], columns)
    alt = f"Smoothed coordination number against depth of {len(known)} states"
    return plots.Picture(plots.svg(on, parts, alt), data)


def coordination(rows):
    """Picture of the share of atoms with each coordination number, side by side."""
    found = [{int(k): int(v) for k, v in (w.split(":") for w in row["cn_histogram"].split())} for row in rows]
    numbers = range(min(min(h) for h in found), max(max(h) for h in found) + 1)
    shares = [[100 * h.get(k, 0) / sum(h.values()) for k in numbers] for h in found]
    on = plots.Axes(480, 280, (numbers[0] - 0.6, numbers[-1] + 0.6), (0.0, 1.06 * np.max(shares)))
    parts = [plots.frame(on, "coordination number", "atoms (%)", list(numbers))]
    wide = 0.8 / len(found)
    for s, share in enumerate(shares):
        left = np.array(numbers) - 0.4 + s * wide
        parts += [
            plots.box(on, a, a + 0.92 * wide, 0.0, v, f"bar {colour(s)}")
            for a, v in zip(left, share)
            if v > 0
        ]
    data = _joined([(k, [list(numbers), share]) for k, share in enumerate(shares)], ("cn", "share_pct"))
    alt = f"Share of atoms with each coordination number in {len(found)} states"
    return plots.Picture(plots.svg(on, parts, alt), data)


def distribution(found):
    """Picture of the radial distribution g(r) of each state."""
    shown = [(r[r > 1.5], g[r > 1.5]) for r, g in found]
    on = plots.axes(shown[0][0], np.concatenate([g for _, g in shown]), width=480, height=280, margin=0.04)
    parts = [plots.frame(on, "distance (Å)", "g(r)")]
    parts += [plots.line(on, r, g, colour(k)) for k, (r, g) in enumerate(shown)]
    alt = f"Radial distribution of the distances between atoms in {len(shown)} states"
    return plots.Picture(plots.svg(on, parts, alt), _joined(list(enumerate(shown)), ("distance_A", "g")))


def strain_and_depth(tables):
    """Picture of each atom's radial strain against its depth, and its mean in layers of 1.5 A; None without strains."""
    points = []
    for k, atoms in enumerate(tables):
        if atoms is None:
            continue
        x, y = atoms["depth_A"].to_numpy(float), atoms["strain_radial_pct"].to_numpy(float)
        ok = np.isfinite(x) & np.isfinite(y)
        if ok.sum() > 10:
            points.append((k, x[ok], y[ok]))
    if not points:
        return None
    every = np.concatenate([y for _, _, y in points])
    on = plots.axes(
        np.concatenate([x for _, x, _ in points]), np.quantile(every, [0.01, 0.99]), width=480, height=280
    )
    parts = [plots.frame(on, "depth below the surface (Å)", "radial strain (%)")]
    inside = (on.y[0], on.y[1])
    for k, x, y in points:
        ok = (y > inside[0]) & (y < inside[1])
        parts.append(plots.dots(on, x[ok], y[ok], f"{colour(k)} faint", size=1.6))
    for k, x, y in points:
        layer = np.floor(x / 1.5)
        middle = [
            (x[layer == v].mean(), y[layer == v].mean()) for v in np.unique(layer) if (layer == v).sum() > 3
        ]
        parts.append(plots.line(on, *np.array(middle).reshape(-1, 2).T, colour(k)))
    data = _joined([(k, (x, y)) for k, x, y in points], ("depth_A", "strain_radial_pct"))
    alt = f"Radial strain of each atom against depth in {len(points)} states"
    return plots.Picture(plots.svg(on, parts, alt), data)


def order_and_size(states):
    """Picture of crystallinity against the number of atoms, one mark a state with its intervals."""
    x, y = (states[[c, f"{c}_low", f"{c}_high"]].to_numpy(float) for c in ("n_atoms", "crystallinity"))
    on = _room(x.ravel(), y.ravel(), 480, 280)
    parts = [plots.frame(on, "atoms", "crystallinity")]
    for k in range(len(x)):
        parts.append(plots.whiskers(on, x[k, :1], y[k, 1:2], y[k, 2:], colour(k)))
        parts.append(plots.whiskers(on, y[k, :1], x[k, 1:2], x[k, 2:], colour(k), across=True))
        parts.append(plots.dots(on, x[k, :1], y[k, :1], colour(k), titles=[f"state {k + 1}"]))
    columns = [c for name in ("n_atoms", "crystallinity") for c in (name, f"{name}_low", f"{name}_high")]
    data = {"state": np.arange(1, len(x) + 1)} | {c: states[c].to_numpy(float) for c in columns}
    alt = f"Crystallinity against the number of atoms of {len(x)} states"
    return plots.Picture(plots.svg(on, parts, alt), data)


def _joined(parts, columns):
    """{column: values} of all states one below the other; parts : list of (state from 0, values of each column)."""
    state = np.concatenate([np.full(len(values[0]), k + 1) for k, values in parts])
    joined = {c: np.concatenate([np.asarray(v[i]) for _, v in parts]) for i, c in enumerate(columns)}
    return {"state": state} | joined


def _room(x, y, width=340, height=210):
    """Axes with room at both ends of x, so that marks at the ends are whole."""
    on = plots.axes(x, y, width=width, height=height)
    wide = 0.06 * (on.x[1] - on.x[0])
    return plots.Axes(on.width, on.height, (on.x[0] - wide, on.x[1] + wide), on.y)
