"""Write docs/outputs.md: every file that the stages write and, for tables, every column.

    python docs/make_outputs.py

What a file is stands here; what a column is stands in the code that writes it (the dicts named COLUMNS or *_COLUMNS of
the stage modules), which is imported. A test fails when the page and the code disagree, when a dict of columns
belongs to no file here, and when a rule writes a file that is not listed here.
"""

import ast
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "workflow" / "perrin"
PAGE = ROOT / "docs" / "outputs.md"
SHARED = {
    "perrin.files.poses:POSE_COLUMNS": "Poses",
    "perrin.files.models:ATOM_COLUMNS": "Atoms",
}
# stage: [(path below results/{trajectory}/, where its columns stand or None, what it is)]
STAGES = {
    "track": [
        ("track/tracks.csv", "perrin.frames.tracker:COLUMNS", "where the particle is, frame by frame"),
        (
            "track/particle.mrcs",
            None,
            "the raw boxes: counts, times -1 for dark movies, one a frame; float32",
        ),
        ("track/spectrum.npz", None, "mean field, spectrum of the background and facts of the tracking"),
        ("track/field.png", None, "the field of view with the particle and its path"),
        ("track_facts.json", None, "of a row that shares its movie with others: what is asked for it"),
        (
            "together",
            None,
            "of several rows of one movie, below the first: what track takes over, as hard links",
        ),
    ],
    "subtract_graphene": [
        (
            "graphene/clean.mrcs",
            None,
            "boxes without graphene and background; white noise of unit variance; float32",
        ),
        ("graphene/sheets.csv", "perrin.frames.graphene:COLUMNS", "the two graphene sheets, block by block"),
        ("graphene/background.csv", "perrin.frames.graphene:FRAME_COLUMNS", "the background, frame by frame"),
    ],
    "denoise": [
        (
            "denoise/denoised.mrcs",
            None,
            "denoised boxes, for eyes, for quality and for the published variant; float32",
        ),
        ("denoise/components.csv", "perrin.frames.denoise:COLUMNS", "the components that were kept"),
    ],
    "classes2d": [
        ("classes2d/classes.mrcs", None, "class averages in time order; float32"),
        ("classes2d/frames.csv", "perrin.frames.classes2d:COLUMNS", "which frames are accepted, and why not"),
        ("classes2d/particle.json", None, "diameter, mask and verdict"),
        ("classes2d/classes.gif", None, "the class averages as an animation"),
        ("classes2d/sheet.png", None, "the class averages as a contact sheet"),
    ],
    "average3d": [
        ("average3d/poses.star", None, "poses of all accepted frames in RELION 3.1's convention"),
        ("average3d/poses.csv", "perrin.files.poses:POSE_COLUMNS", "the same poses as quaternions"),
        ("average3d/map.mrc", None, "the time-averaged map; ORIGIN and NSTART zero"),
        ("average3d/half1.mrc", None, "map of the first half of the frames (rlnRandomSubset 1)"),
        ("average3d/half2.mrc", None, "map of the second half of the frames (rlnRandomSubset 2)"),
        (
            "average3d/correlation.csv",
            "perrin.rounds.average3d:CORRELATION_COLUMNS",
            "agreement of every frame with its reprojection",
        ),
        (
            "average3d/sites.csv",
            "perrin.rounds.sites_table:SITES_COLUMNS",
            "sites of the lattice, or the atoms of a start_model, and their mean occupancy",
        ),
        ("average3d/lattice.json", None, "lattice or start_model: its constant, radius, profile, verdict"),
        ("average3d/coverage.json", None, "how the views cover the sphere; rotational diffusion"),
    ],
    "segment": [
        ("segment/windows.tsv", "perrin.windows.segment:WINDOW_COLUMNS", "the time windows"),
        (
            "segment/evidence.csv",
            "perrin.windows.segment:EVIDENCE_COLUMNS",
            "the evidence for a change, over time",
        ),
        ("segment/tree.json", None, "the tests that split and merged the windows; verdict"),
    ],
    "window3d": [
        ("windows/{window}/poses.star", None, "poses of the window in RELION 3.1's convention"),
        ("windows/{window}/poses.csv", "perrin.files.poses:POSE_COLUMNS", "the same poses as quaternions"),
        ("windows/{window}/map.mrc", None, "the window's map; ORIGIN and NSTART zero"),
        ("windows/{window}/half1.mrc", None, "map of the first half of the window's frames"),
        ("windows/{window}/half2.mrc", None, "map of the second half of the window's frames"),
        (
            "windows/{window}/fsc.csv",
            "perrin.maps.fsc:fsc_columns",
            "Fourier shell correlation of the half maps",
        ),
        ("windows/{window}/rounds.csv", "perrin.rounds.window3d:ROUND_COLUMNS", "what each round changed"),
        ("windows/{window}/coverage.json", None, "how the views cover the sphere, verdict"),
        (
            "windows/{window}/draft.csv",
            "perrin.files.models:ATOM_COLUMNS",
            "draft atoms, before the refinement",
        ),
        ("windows/{window}/profile.json", None, "an atom's radial profile, verdict of the window"),
    ],
    "model": [
        ("windows/{window}/atoms.csv", "perrin.files.models:ATOM_COLUMNS", "the atoms, with their errors"),
        ("windows/{window}/atoms.cif", None, "the atoms as mmCIF; B and U hold the positions' errors"),
        ("windows/{window}/atoms.pdb", None, "the atoms as PDB; B and ANISOU hold the positions' errors"),
        ("windows/{window}/atoms.xyz", None, "the atoms as extended XYZ, for OVITO and ASE"),
        ("windows/{window}/density.mrc", None, "density simulated from the atoms, on the map's voxels"),
        (
            "windows/{window}/profile.csv",
            "perrin.rounds.model:PROFILE_COLUMNS",
            "the radial profile of an atom's image",
        ),
        ("windows/{window}/model.json", None, "checks, bound and verdict of the model"),
    ],
    "events": [
        (
            "events/events.csv",
            "perrin.windows.events:EVENT_COLUMNS",
            "atoms that left, arrived or moved, dated to frames",
        ),
        ("events/evidence.npz", None, "the evidence of each atom over time"),
        ("events/events.svg", None, "the events over time"),
    ],
    "statistics": [
        (
            "windows/{window}/atoms_stats.csv",
            "perrin.states.statistics:ATOM_STATS_COLUMNS",
            "statistics of each atom",
        ),
        (
            "windows/{window}/atoms_stats.csv",
            "perrin.atoms.in_map:MAP_COLUMNS",
            "in the same table, what the window's map says of each atom",
        ),
        (
            "windows/{window}/state.csv",
            "perrin.states.statistics:STATE_COLUMNS",
            "statistics of the state, one row",
        ),
        (
            "windows/{window}/depth.csv",
            "perrin.states.statistics:DEPTH_COLUMNS",
            "coordination against depth",
        ),
        (
            "windows/{window}/strain.pdb",
            None,
            "the atoms with the radial strain, in percent, in the B column",
        ),
    ],
    "dynamics": [
        (
            "dynamics/states.csv",
            "perrin.states.dynamics:STATES_COLUMNS",
            "the states of the trajectory in time order",
        ),
        (
            "dynamics/changes.csv",
            "perrin.states.dynamics:CHANGES_COLUMNS",
            "atoms that differ between states",
        ),
        ("dynamics/lives.csv", "perrin.states.dynamics:LIVES_COLUMNS", "how long each atom stays"),
        ("dynamics/core.csv", "perrin.states.dynamics:CORE_COLUMNS", "the atoms that never change"),
        ("dynamics/rates.csv", "perrin.states.dynamics:RATES_COLUMNS", "rates of arrival and departure"),
        ("dynamics/category.json", None, "the category of the trajectory's dynamics, verdict"),
        ("dynamics/trajectory.extxyz", None, "all states as one extended XYZ of several frames"),
    ],
}
# the same for all trajectories together, paths below results/
TOGETHER = {
    "summary": [
        ("summary/states.csv", "perrin.states.summary:STATES_COLUMNS", "all states of all trajectories"),
        (
            "summary/trajectories.csv",
            "perrin.states.summary:TRAJECTORIES_COLUMNS",
            "all trajectories, one row each",
        ),
        ("summary/summary.png", None, "the figure of all trajectories"),
        ("summary/summary.svg", None, "the same, to be scaled"),
    ],
    "report": [
        ("report/index.html", None, "the report; it opens without a network"),
        (
            "report/trajectories",
            None,
            "a page a trajectory, NAME.html, each of which stands by itself",
        ),
        (
            "report/figures",
            "perrin.report.figures:FIGURE_COLUMNS",
            "a folder a trajectory: every figure as svg or png, and as csv the numbers that it draws",
        ),
    ],
    "demo": [
        ("demo/movie/movie.mrc", None, "the demo's movie, made by the simulator"),
        ("demo/truth/frames.csv", None, "its truth, read by the report alone; beside it the true atoms"),
    ],
}


def main():
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8", newline="\n")


def page():
    """The text of docs/outputs.md."""
    parts = [
        "# Outputs: every file and every column",
        "",
        "Generated by `docs/make_outputs.py` from the code that writes the tables; do not edit by hand.",
        "",
        "Paths are below `results/{trajectory}/`. `{window}` is named by its first and last frame, as in",
        "`f000000-001199`. Frames count in the movie, from 0. Beside every table lies `NAME.columns.json` with the",
        "same names, units and meanings; beside the outputs of every stage a provenance JSON. Units, axes and origins:",
        "[conventions.md](conventions.md). What each job cost is in `timings/`, what it said in `logs/`.",
    ]
    parts += _stages(STAGES)
    parts += ["", "# All trajectories together, below `results/`"]
    parts += _stages(TOGETHER)
    parts += ["", "# Tables that several stages write"]
    for source, title in SHARED.items():
        parts += ["", f"### {title}", "", *_table(columns(source))]
    return "\n".join(parts) + "\n"


def _stages(stages):
    parts = []
    for stage, files in stages.items():
        parts += ["", f"## {stage}", ""]
        for path, source, what in files:
            parts.append(f"- `{path}`: {what}" + (f" ({_link(source)})" if source in SHARED else ""))
        for path, source, _ in files:
            found = columns(source) if source and source not in SHARED else None
            if found:
                parts += ["", f"### {path}", "", *_table(found)]
    return parts


def columns(source):
    """The dict {name: (unit, meaning)} at "module:NAME", or None where this copy of perrin has no such module."""
    module, name = source.split(":")
    if find_spec(module) is None:
        return None
    found = getattr(import_module(module), name)
    return found() if callable(found) else found


def declared():
    """ "module:NAME" of every dict of columns in the package."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(("perrin", *file.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for target in getattr(node, "targets", []):
                if isinstance(target, ast.Name) and (
                    target.id == "COLUMNS" or target.id.endswith("_COLUMNS")
                ):
                    found.append(f"{module}:{target.id}")
    return found


def _link(source):
    return f"columns: [{SHARED[source]}](#{SHARED[source].lower()})"


def _table(found):
    rows = [
        f"| `{name}` | {unit} | {meaning.replace('|', '&#124;')} |" for name, (unit, meaning) in found.items()
    ]
    return ["| column | unit | meaning |", "|---|---|---|", *(row.replace("|  |", "| |") for row in rows)]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "workflow"))
    main()
