"""What the report shows of one trajectory, read from its files below results."""

import numpy as np
import pandas as pd

from perrin.files.elements import element as look_up
from perrin.files.poses import read_poses
from perrin.files.tables import sidecar
from perrin.report import compare_figures, figures, pictures, truth, words
from perrin.report.film import film
from perrin.report.portrait import portrait
from perrin.report.tables import facts, link, shown, table
from perrin.report.timeline import timeline
from perrin.report.window import positions, window

STATES = {
    "state": "state",
    "window": "window",
    "time_s": "time (s)",
    "verdict": "verdict",
    "n_atoms": "atoms",
    "diameter_A": "diameter (Å)",
    "fraction_cn_gt8": "CN > 8",
    "mean_radial_strain_pct": "radial strain (%)",
    "penetration_depth_A": "penetration depth (Å)",
    "crystallinity": "crystallinity",
    "mean_validity": "validity",
    "lattice_A": "lattice (Å)",
    "structure": "structure",
    "mean_sigma_A": "error of a position (Å)",
    "core_share": "core share",
}
RATES = {
    "from_state": "from",
    "to_state": "to",
    "seconds": "apart (s)",
    "atoms_before": "atoms before",
    "atoms_after": "after",
    "left": "left",
    "arrived": "arrived",
    "moved": "moved",
    "association_per_s": "gained (1/s)",
    "dissociation_per_s": "lost (1/s)",
    "net_per_s": "net (1/s)",
    "median_shift_A": "shift of those that stayed (Å)",
}
EVENTS = {
    "atom": "atom",
    "event": "event",
    "frame": "frame",
    "time_s": "time (s)",
    "x_A": "x (Å)",
    "y_A": "y (Å)",
    "z_A": "z (Å)",
    "site": "site",
    "probability": "probability",
}
CHANGES = {
    "from_state": "from",
    "to_state": "to",
    "change": "change",
    "atom_id": "atom",
    "x_A": "x (Å)",
    "y_A": "y (Å)",
    "z_A": "z (Å)",
    "cn": "CN",
    "site_kind": "site",
    "probability": "probability",
}
# stages that are done once a trajectory, and the file that holds their verdict
STAGES = (
    ("frames", "classes2d/particle.json"),
    ("time-averaged structure", "average3d/lattice.json"),
    ("views", "average3d/coverage.json"),
    ("windows of time", "segment/tree.json"),
    ("dynamics", "dynamics/category.json"),
)
FILES = (
    *("track/field.png", "classes2d/sheet.png", "events/events.svg"),
    *("track/tracks.csv", "graphene/sheets.csv", "denoise/components.csv", "classes2d/frames.csv"),
    *("classes2d/classes.mrcs", "classes2d/classes.gif", "average3d/map.mrc", "average3d/poses.star"),
    *("segment/windows.tsv", "segment/evidence.csv", "events/events.csv", "events/evidence.npz"),
    *("dynamics/states.csv", "dynamics/changes.csv", "dynamics/lives.csv", "dynamics/core.csv"),
    *("dynamics/rates.csv", "dynamics/trajectory.extxyz"),
)
MOST_EVIDENCE = 4


def trajectory(results, row, truth_folder, index, settings):
    """All that the page shows of a trajectory, as a dict for the template.

    results : folder; row : its row of the sample sheet; truth_folder : of a simulated movie, or None
    index : the page, for relative links; settings : the section `report` of the config
    """
    folder, name, metal = results / row["name"], row["name"], look_up(row["element"])
    rate, most = float(row["frame_rate_hz"]), settings["most_rows"]
    listed, states = table(folder / "segment/windows.tsv"), table(folder / "dynamics/states.csv")
    lives, category = table(folder / "dynamics/lives.csv"), facts(folder / "dynamics/category.json")
    windows = []
    for record in [] if listed is None else listed.to_dict("records"):
        windows.append(window(folder, record, len(windows) + 1, states, lives, metal, rate, index, settings))
    stages = [
        {"name": title, "verdict": said.get("verdict") or "", "why": said.get("why") or ""}
        for title, file in STAGES
        if (said := facts(folder / file))
    ]
    # a kind of dynamics that cannot be named takes nothing from the structures; it has its own badge
    structural = [stage for stage in stages if stage["name"] != "dynamics"]
    verdict, why = words.trajectory_verdict(structural, [w["verdict"] for w in windows])
    events = table(folder / "events/events.csv")
    if events is not None and "frame" in events:
        events["time_s"] = events["frame"] / rate
        if {"frame_low", "frame_high"} <= {*events}:
            events = events.sort_values(["frame", "atom"], kind="stable")
    compared = _truth(truth_folder, folder, windows, metal, settings["match_A"])
    drawn = [w for w in windows if w["scene"]]
    # lives without a model that passed are no structure either
    lived, atoms_over_time = timeline(
        folder / "events/evidence.npz", drawn[0]["scene"]["bond"], metal, rate, settings["most_atoms"]
    ) if drawn else (None, None)  # fmt: skip
    found = {
        "name": name,
        "row": row,
        "verdict": verdict,
        "why": why,
        "reason": next((x["why"] for x in [*structural, *windows] if x["verdict"] in ("doubtful", "failed")), ""),
        "found": words.found_sentence(metal.symbol, states),
        "states": states,
        "first": _state(states, 0),
        "portraits": [portrait(w["scene"], f"p-{name}-{w['number']}", 130) for w in _ends(drawn)],
        "counts": {v: sum(w["verdict"] == v for w in windows) for v in words.ORDER},
        "sigma_A": _median(states, "mean_sigma_A"),
        "category": category,
        "stages": stages,
        "windows": windows,
        "timeline": lived,
        "atoms_over_time": atoms_over_time,
        "by_state": _by_state(folder, windows),
        "atoms": figures.spark(states, rate) if states is not None and len(states) else None,
        "truth": compared,
        "series": figures.series(states, rate) if states is not None and len(states) else {},
        "states_table": shown(folder / "dynamics/states.csv", states, STATES, max(most, 100), index),
        "rates": shown(folder / "dynamics/rates.csv", table(folder / "dynamics/rates.csv"), RATES, most, index),
        "changes": shown(folder / "dynamics/changes.csv", _ordered(folder), CHANGES, most, index),
        "events": shown(folder / "events/events.csv", events, EVENTS, most, index),
        "events_picture": pictures.embedded(folder / "events/events.svg", 0, 0),
        "lives": _lives(lives),
        "files": [{"name": f, "link": to} for f in FILES if (to := link(folder / f, index))],
        **_pictures(folder, listed, rate, settings, compared),
    }  # fmt: skip
    return found | {"figures": _figures(found)}


def _ends(drawn):
    """The first and the last of the windows that are drawn, or the only one."""
    return drawn if len(drawn) < 2 else [drawn[0], drawn[-1]]


def _by_state(folder, windows):
    """{name: Picture} of coordination and strain in each state; failed windows keep their place and are left out."""
    good = [w for w in windows if w["verdict"] != "failed" and w["scene"]]
    if not good:
        return {}
    columns = {"depth.csv": None, "atoms_stats.csv": ("depth_A", "strain_radial_pct")}
    depth, stats = (
        [table(folder / "windows" / w["name"] / name, columns=wanted) if w in good else None for w in windows]
        for name, wanted in columns.items()
    )
    counted = [w["state"] for w in windows if w in good and w["state"] and w["state"].get("cn_histogram")]
    return {
        "coordination_by_depth": compare_figures.depth(depth),
        "strain_by_depth": compare_figures.strain_and_depth(stats),
        "coordination": compare_figures.coordination(counted) if len(counted) == len(windows) else None,
    }


def _figures(found):
    """{name: figure} of all that is saved as files of its own."""
    figures = {f"series_{name}": picture for name, picture in found["series"].items()} | found["by_state"]
    figures |= {name: found[name] for name in ("atoms_over_time", "directions", "correlation")}
    figures |= {f"evidence_{e['name']}": e["svg"] for e in found["evidence"]}
    for w in found["windows"]:
        figures[f"window{w['number']}_fsc"] = w["fsc"]
        figures[f"window{w['number']}_atoms"] = portrait(w["scene"], f"w{w['number']}")
        for key, name in (("slices", "map"), ("density", "density")):
            figures[f"window{w['number']}_{name}"] = w[key] and w[key]["png"]
    return figures


def _pictures(folder, windows, rate, settings, compared):
    """How it was found: field, class averages, directions, frames and evidence over time."""
    most, quality = settings["picture_px"], settings["picture_quality"]
    found = {
        "field": pictures.embedded(folder / "track/field.png", most, quality),
        "faulty": _faulty(folder / "track/spectrum.npz"),
        "film": film(folder / "classes2d/classes.gif", settings["film_px"], quality),
        "directions": None,
        "correlation": None,
        "evidence": [],
        "frames": None,
    }
    if (folder / "average3d/poses.csv").is_file():
        found["directions"] = figures.directions(read_poses(folder / "average3d/poses.csv"))
    true = compared["frames"] if compared else ()
    correlation = table(folder / "average3d/correlation.csv")
    if correlation is not None and len(correlation):
        found["correlation"] = figures.over_time(
            correlation, "correlation", "correlation", windows, rate, extra=true
        )
    found["evidence"] = _evidence(folder / "segment/evidence.csv", windows, rate, true)
    frames = table(folder / "classes2d/frames.csv")
    if frames is not None and len(frames) and "accepted" in frames:
        refused = frames[frames["accepted"] == 0]["reason"].value_counts()
        found["frames"] = {
            "all": len(frames),
            "accepted": int((frames["accepted"] != 0).sum()),
            "refused": list(refused.items()),
        }
    return found


def _faulty(path):
    """A sentence on the hot and dead pixels that `track` repaired; empty where nothing is known of them."""
    try:
        with np.load(path) as kept:
            return words.faulty_pixels(kept["faulty_px"])
    except (OSError, ValueError, KeyError):
        return ""


def _evidence(path, windows, rate, true):
    """Pictures of the evidence for changes; without switches, and without what is drawn from correlation.csv."""
    evidence, found = table(path), []
    if evidence is None or not len(evidence) or "frame" not in evidence:
        return found
    meanings = {c["name"]: c for c in facts(sidecar(path)).get("columns", [])}
    for name in evidence.columns.drop(["frame", "time_s", "correlation"], errors="ignore"):
        values = evidence[name]
        if values.dtype.kind not in "fi" or not values.notna().any() or values.dropna().isin([0, 1]).all():
            continue
        said = meanings.get(name, {"unit": "", "meaning": name})
        label = name.replace("_", " ") + (f" ({said['unit']})" if said["unit"] else "")
        svg = figures.over_time(evidence, name, label, windows, rate, "s2", extra=true)
        found.append({"name": name, "svg": svg, "meaning": said["meaning"]})
    return found[:MOST_EVIDENCE]


def _truth(truth_folder, folder, windows, metal, match_A):
    """The comparison with the truth of a simulated movie; None without truth or windows."""
    if not truth_folder or not windows:
        return None
    models = [
        positions(folder / "windows" / w["name"]) if w["verdict"] != "failed" else None for w in windows
    ]
    spans = [(w["first_frame"], w["last_frame"]) for w in windows]
    return truth.compare(truth_folder, spans, models, metal, match_A) | {"match_A": match_A}


def _ordered(folder):
    found = table(folder / "dynamics/changes.csv")
    if found is None:
        return None
    return found.sort_values(["from_state", "probability"], ascending=[True, False], kind="stable")


def _lives(lives):
    """How many atoms have each kind of life, and how many are core."""
    if lives is None or not len(lives):
        return None
    counts = lives["life"].value_counts()
    return {
        "atoms": len(lives),
        "core": int(np.sum(lives["core"].astype(bool))),
        "kinds": [(kind, int(counts.get(kind, 0))) for kind in ("present", "left", "arrived", "visited")],
    }


def _state(states, place):
    """First (0) or last (-1) state that did not fail, as a dict; None where there is none."""
    if states is None:
        return None
    good = states[states["verdict"] != "failed"]
    return good.iloc[place].to_dict() if len(good) else None


def _median(states, column):
    if states is None or column not in states:
        return None
    values = pd.to_numeric(states[states["verdict"] != "failed"][column]).dropna()
    return float(values.median()) if len(values) else None
