"""What the report shows of one window of time."""

import numpy as np

from perrin.files.maps import read_map
from perrin.report import figures, pictures, words
from perrin.report.atoms3d import scene
from perrin.report.tables import facts, link, table

FILES = (
    *("atoms.csv", "atoms.cif", "atoms.pdb", "atoms.xyz", "atoms_stats.csv", "state.csv", "strain.pdb"),
    *("map.mrc", "half1.mrc", "half2.mrc", "density.mrc", "poses.star", "poses.csv", "fsc.csv"),
    *("rounds.csv", "depth.csv", "profile.csv", "coverage.json", "model.json"),
)
NO_STRUCTURE = {
    "atoms.csv",
    "atoms_stats.csv",
    "atoms.cif",
    "atoms.pdb",
    "atoms.xyz",
    "strain.pdb",
    "density.mrc",
}
AROUND_A = 4.0


def window(folder, record, number, states, lives, metal, frame_rate_hz, index, settings):
    """All that the page shows of a window, as a dict for the template.

    folder : of the trajectory; record : its row of windows.tsv; number : from 1, in time order
    states, lives : tables of dynamics or None. A window that failed has a verdict, a reason and evidence (checks,
    views, correlation of the half maps), but no atoms, no map and no files of a structure.
    """
    name = record["window"]
    here = folder / "windows" / name
    model, coverage, profile = (facts(here / f"{f}.json") for f in ("model", "coverage", "profile"))
    row = _row(states, name)
    verdict = (row or {}).get("verdict") or model.get("verdict") or profile.get("verdict") or "failed"
    why = model.get("why") or (row or {}).get("why") or profile.get("why") or "its results are not there"
    failed = verdict == "failed"
    first, last = int(record["first_frame"]), int(record["last_frame"])
    found = {
        "name": name,
        "number": number,
        "verdict": verdict,
        "why": words.brief(why),
        "first_frame": first,
        "last_frame": last,
        "from_s": first / frame_rate_hz,
        "to_s": (last + 1) / frame_rate_hz,
        "reason": record.get("reason", ""),
        "bound": [record.get("first_low"), record.get("first_high")],
        "model": model,
        "coverage": coverage,
        "checks": model.get("checks") or [],
        "state": None if failed else row,
        "scene": None,
        "slices": None,
        "density": None,
        "fsc": None,
        "resolution_A": profile.get("resolution_A"),
        "too_many": False,
        "files": [
            {"name": f, "link": to}
            for f in FILES
            if not (failed and f in NO_STRUCTURE) and (to := link(here / f, index))
        ],
    }
    correlation, pixel = table(here / "fsc.csv"), _pixel(model, profile)
    if correlation is not None and len(correlation) and "fsc" in correlation and pixel:
        found["fsc"], measured = figures.fsc(correlation, pixel, found["resolution_A"])
        found["resolution_A"] = found["resolution_A"] or measured
    if failed:
        return found
    place = _place(states, name)
    atoms = table(here / "atoms.csv")
    found["too_many"] = atoms is not None and len(atoms) > settings["most_atoms"]
    found["scene"] = scene(
        here, lives, (place, row) if row is not None else None, metal, settings["most_atoms"]
    )
    reach = _reach(atoms)
    for key, file in (("slices", "map.mrc"), ("density", "density.mrc")):
        if (here / file).is_file() and (here / file).stat().st_size:
            found[key] = pictures.slices(
                read_map(here / file), reach, settings["slice_px"], settings["picture_quality"]
            )
    return found


def positions(folder):
    """(n, 3) positions of a window's atoms, angstrom, None where there are none."""
    atoms = table(folder / "atoms.csv")
    return None if atoms is None or not len(atoms) else atoms[["x_A", "y_A", "z_A"]].to_numpy(float)


def _row(states, name):
    """A window's row of states.csv as a dict, None where it has none."""
    if states is None:
        return None
    rows = states[states["window"] == name]
    return rows.iloc[0].to_dict() if len(rows) else None


def _place(states, name):
    """Place of a window among the states that did not fail: lives.csv counts these."""
    if states is None:
        return 0
    good = states[states["verdict"] != "failed"]["window"].tolist()
    return good.index(name) if name in good else len(good)


def _pixel(*sources):
    return next((float(s["pixel_A"]) for s in sources if s.get("pixel_A")), None)


def _reach(atoms):
    """Half of the edge of the slices: the atoms and some room around them."""
    if atoms is None or not len(atoms):
        return 20.0
    xyz = atoms[["x_A", "y_A", "z_A"]].to_numpy(float)
    return float(np.abs(xyz - xyz.mean(0)).max()) + AROUND_A
