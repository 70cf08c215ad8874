"""The crystal played through time: every site that ever held an atom, with the frames in which it did."""

import numpy as np

from perrin.report import plots


def timeline(path, bond_A, metal, frame_rate_hz, most_atoms):
    """(scene for the page, Picture of the number of atoms over time); (None, None) without lives or with too many.

    path : evidence.npz of stage events; bond_A : atoms nearer than this are neighbours
    The scene holds positions as perrin.report.atoms3d has them, and for every site the frames at which it fills and
    empties by turns, from its first filling on: a site that is never emptied has an odd number of them.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return None, None
    with np.load(path) as stored:
        frame, present, xyz = stored["frame"], stored["present"], stored["xyz_A"]
    ever = present.any(1) if present.size else np.zeros(0, bool)
    if not ever.any() or not np.isfinite(xyz[ever]).all():
        return None, None
    picture = atoms_over_time(frame, present, frame_rate_hz)
    if ever.sum() > most_atoms:
        return None, picture
    present, xyz = present[ever], xyz[ever]
    centre = xyz.mean(0)
    turns = []
    for held in present:
        at = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0))
        turns.append(frame[at].tolist())
    scene = {
        "xyz": np.round((xyz - centre) * 100).astype(int).ravel().tolist(),
        "origin": [round(float(c), 4) for c in centre],
        "turns": turns,
        "first": int(frame[0]),
        "last": int(frame[-1]),
        "rate": frame_rate_hz,
        "element": metal.symbol,
        "radius": metal.radius_A,
        "bond": bond_A,
    }
    return scene, picture


def atoms_over_time(frame, present, frame_rate_hz):
    """Picture of the number of atoms that are there, frame by frame, with a mark at every change."""
    time, count = frame / frame_rate_hz, present.sum(0)
    at = np.flatnonzero(np.diff(count)) + 1
    keep = np.unique([0, *at, *(at - 1), len(frame) - 1]).astype(int)
    on = plots.axes(time, count, width=480, height=280, margin=0.12)
    parts = [plots.frame(on, "time (s)", "atoms"), plots.line(on, time[keep], count[keep], "s1")]
    changed = (np.diff(present.astype(np.int8), axis=1) != 0).any(0)
    moments = np.flatnonzero(changed) + 1
    parts.append(plots.dots(on, time[moments], count[moments], "s2", size=2.2))
    alt = f"Atoms over time: {count[0]} at the beginning, {count[-1]} at the end"
    return plots.Picture(
        plots.svg(on, parts, alt), {"frame": frame[keep], "time_s": time[keep], "n_atoms": count[keep]}
    )
