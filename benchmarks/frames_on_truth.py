"""The frames' stages of a finished run against the truth of its movie, one line a trajectory.

    python benchmarks/frames_on_truth.py RESULTS/NAME=TRUTH [RESULTS/NAME=TRUTH ...]

RESULTS/NAME : a trajectory's folder; TRUTH : folder with frames.csv (frame, x_px, y_px, qw..qz, state), meta.yaml
and atoms_stateN.csv. Centres are those of the atoms, errors are lengths in the plane after one constant offset; with
poses, the body's origin is fitted too (three numbers a window). The diameter is that of the ball of the atoms' volume,
a mean over the frames' states, with the volume of an atom from their neighbour distances.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.frames.sheets import difference_deg  # noqa: E402

ANGLE_LIMIT_DEG = 0.3


def truth_of(folder, pixel_A):
    """Frames' table, rotations (f, 3, 3), centres (f, 2) px, mean diameter of the ball of the atoms' volume."""
    table = pd.read_csv(folder / "frames.csv")
    turn = Rotation.from_quat(table[["qw", "qx", "qy", "qz"]].to_numpy(), scalar_first=True).as_matrix()
    centre = table[["x_px", "y_px"]].to_numpy(float).copy()
    diameters = []
    for state in sorted(table["state"].unique()):
        xyz = pd.read_csv(folder / f"atoms_state{state}.csv")[["x_A", "y_A", "z_A"]].to_numpy()
        own = (table["state"] == state).to_numpy()
        centre[own] += (turn[own] @ xyz.mean(0))[:, :2] / pixel_A
        # nearest neighbours of fcc are a / sqrt 2 apart; the bonds inside, not the short ones at the surface
        pairs = cKDTree(xyz).query_pairs(3.34, output_type="ndarray")
        bond = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1).mean()
        volume = len(xyz) * (np.sqrt(2) * bond) ** 3 / 4
        diameters.append((own.sum(), 2 * (3 * volume / 4 / np.pi) ** (1 / 3)))
    weight, diameter = np.transpose(diameters)
    return table, turn, centre, float((weight * diameter).sum() / weight.sum())


def with_poses(folder, tracks, truth, pixel_A):
    """Error (n,) px of the body's origin as box place + shift, all windows together."""
    table, errors = truth, []
    for path in sorted(folder.glob("windows/*/poses.csv")):
        poses = pd.read_csv(path)
        box = tracks.loc[poses["frame"], ["box_x_px", "box_y_px"]].to_numpy()
        place = box + poses[["shift_x_A", "shift_y_A"]].to_numpy() / pixel_A
        off = place - table.set_index("frame").loc[poses["frame"], ["x_px", "y_px"]].to_numpy()
        turn = Rotation.from_quat(poses[["qw", "qx", "qy", "qz"]].to_numpy(), scalar_first=True).as_matrix()
        design = np.concatenate([turn[:, 0], turn[:, 1]])
        target, keep = np.r_[off[:, 0], off[:, 1]], np.ones(2 * len(off), bool)
        for _ in range(10):
            origin = np.linalg.lstsq(design[keep], target[keep], rcond=None)[0]
            rest = target - design @ origin
            keep = np.abs(rest) < max(4.5 * np.median(np.abs(rest)), 0.1)
        errors.append(np.hypot(*rest.reshape(2, -1)))
    return np.concatenate(errors) if errors else np.full(1, np.nan)


def sheet_errors(folder, angles, frames):
    """Largest error of the two sheets' angles, per frame."""
    table = pd.read_csv(folder / "graphene/sheets.csv")
    out = np.full(len(frames), np.inf)
    for _, block in table.iterrows():
        found = block[["angle_1_deg", "angle_2_deg"]].to_numpy(float)
        pairs = [
            max(abs(difference_deg(found[i], angles[0])), abs(difference_deg(found[1 - i], angles[1])))
            for i in (0, 1)
        ]
        rows = (frames >= block["first_frame"]) & (frames <= block["last_frame"])
        out[rows] = np.nanmin(pairs)
    return out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", nargs="+", metavar="RESULTS/NAME=TRUTH")
    columns = (
        "trajectory",
        "frames",
        "track RMSE px",
        "p99 px",
        "with poses RMSE px",
        "p95 px",
        f"frames with both sheets within {ANGLE_LIMIT_DEG} deg %",
        "worst deg",
        "rejected %",
        "diameter A",
        "+- A",
        "true A",
    )
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for pair in parser.parse_args().pairs:
        results, truth = (Path(part) for part in pair.split("="))
        meta = yaml.safe_load((truth / "meta.yaml").read_text())
        pixel_A = meta["pixel_size_A"]
        table, _, centre, diameter = truth_of(truth, pixel_A)
        tracks = pd.read_csv(results / "track/tracks.csv").set_index("frame")
        off = tracks.loc[table["frame"], ["x_px", "y_px"]].to_numpy() - centre
        error = np.linalg.norm(off - off.mean(0), axis=1)
        posed = with_poses(results, tracks, table, pixel_A)
        background = meta["spec"]["background"]["graphene"]
        sheets = background["sheets"] if isinstance(background, dict) else background
        angles = sheet_errors(results, [s["angle_deg"] for s in sheets], table["frame"].to_numpy())
        judged = pd.read_csv(results / "classes2d/frames.csv")
        particle = json.loads((results / "classes2d/particle.json").read_text())
        values = (
            f"{np.sqrt(np.square(error).mean()):.2f}",
            f"{np.quantile(error, 0.99):.2f}",
            f"{np.sqrt(np.square(posed).mean()):.2f}",
            f"{np.quantile(posed, 0.95):.2f}",
            f"{100 * (angles < ANGLE_LIMIT_DEG).mean():.0f}",
            f"{angles.max():.2f}",
            f"{100 * (1 - judged['accepted'].mean()):.1f}",
            f"{particle['diameter_A']:.2f}",
            f"{particle['diameter_sigma_A']:.2f}",
            f"{diameter:.2f}",
        )
        print("| " + " | ".join((results.name, str(len(table)), *values)) + " |", flush=True)


if __name__ == "__main__":
    main()
