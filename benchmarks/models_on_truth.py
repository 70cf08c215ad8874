"""The model of every window of finished runs against the atoms that the movie was made of.

    python benchmarks/models_on_truth.py RESULTS/NAME=TRUTH [RESULTS/NAME=TRUTH ...]

RESULTS/NAME : a trajectory's folder; TRUTH : folder with frames.csv (frame, state) and atoms_stateN.csv. Scores are
those of score.py in ../shared/tools. A model is held against the state that most of its window's frames show; atoms
besides which stand where another state of the window has one are counted with it, with their mean occupancy.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.atomic import read_json  # noqa: E402

TOOLS = Path(__file__).resolve().parents[2] / "shared/tools"
MATCH_A = 1.0
AXES = ["x_A", "y_A", "z_A"]
COLUMNS = (
    "movie", "window", "frames of the states", "atoms, true", "atoms, found", "recall %", "precision %",
    "RMSD A", "error bar A", "atoms of another state: found, of, occupancy", "verdict",
)  # fmt: skip


def scored(window, share, truth, score_atoms):
    """The scores of one window's model as cells of a row.

    share : {state: frames of the window}, the most frequent one first
    """
    table, model = pd.read_csv(window / "atoms.csv"), read_json(window / "model.json")
    state, *others = share
    files = {one: truth / f"atoms_state{one}.csv" for one in share}
    true = len(pd.read_csv(files[state]))
    if not len(table):
        return [true, "none", *[""] * 5, model["verdict"]]
    score = score_atoms(str(files[state]), str(window / "atoms.csv"), match=MATCH_A)
    besides = table.iloc[[one["index"] for one in score["invented"]]]
    places = np.array([[one[axis] for axis in AXES] for one in score["invented"]]).reshape(-1, 3)
    here = cKDTree(pd.read_csv(files[state])[AXES])
    blended = ""
    for other in others:
        xyz = pd.read_csv(files[other])[AXES].to_numpy()
        xyz = xyz[here.query(xyz)[0] > MATCH_A]
        kept = cKDTree(xyz).query(places)[0] < MATCH_A
        level = f", {besides['occupancy'][kept].mean():.2f}" if kept.any() else ""
        blended = f"{kept.sum()} of {len(xyz)}{level}"
    percent = [f"{100 * score[key]:.1f}" for key in ("recall", "precision")]
    bar = f"{model['sigma_mean_A']:.3f}" if "sigma_mean_A" in model else ""
    return [true, len(table), *percent, f"{score['rmsd_A']:.3f}", bar, blended, model["verdict"]]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="RESULTS/NAME=TRUTH")
    pairs = parser.parse_args().pairs
    if not (TOOLS / "score.py").is_file():
        sys.exit(f"{TOOLS} holds no score.py, which this needs")
    sys.path.insert(0, str(TOOLS))
    from score import score_atoms

    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for pair in pairs:
        results, truth = (Path(part) for part in pair.split("="))
        frames = pd.read_csv(truth / "frames.csv").set_index("frame")["state"]
        for row in pd.read_csv(results / "segment/windows.tsv", sep="\t").itertuples():
            share = frames.loc[row.first_frame : row.last_frame].value_counts().to_dict()
            named = f"{row.first_frame}-{row.last_frame}"
            shown = ", ".join(f"{state}: {count}" for state, count in share.items())
            cells = scored(results / "windows" / row.window, share, truth, score_atoms)
            print("| " + " | ".join(map(str, [results.name, named, shown, *cells])) + " |", flush=True)


if __name__ == "__main__":
    main()
