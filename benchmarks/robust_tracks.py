"""Tracks of disturbed movies against their truth, over many seeds: is any loss silent?

    python benchmarks/robust_tracks.py [--seeds 20]

Every movie has 600 frames and, in each: 5 blank frames, a jump of 16 px, a second particle that passes close by (and,
in every other movie, over it), a border crossing in which the particle's centre leaves the field for a while, and a
stretch without the particle. Silent: a frame of a visible particle that is found over 10 px from it and called ok, or
a frame without a visible particle that is called ok.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.frames.track import track  # noqa: E402
from perrin.imaging.rotations import matrices  # noqa: E402
from perrin.simulate.write import write_movie  # noqa: E402
from perrin.stage import limited  # noqa: E402

LOST_PX, FRAMES, FIELD = 10.0, 600, 150
AROUND = 6  # frames about a disturbance
NEAR_PX = 62  # distance of the second particle: 1.2 times the sum of the radii


def spec(seed):
    rng = np.random.default_rng(seed)
    angle = rng.uniform(0, 2 * np.pi)
    jump = 16 * np.array([np.cos(angle), np.sin(angle)])
    low, high = 55, 95
    start, rest = rng.uniform(low, high, 2), rng.uniform(low, high, 2)
    side = rng.integers(4)  # the border that is crossed
    out = rest.copy()
    out[side % 2] = -6 if side < 2 else FIELD + 5
    path = [[0, *start], [149, *start], [150, *(start + jump)], [300, *rest], [360, *rest], [390, *out]]
    path += [[410, *out], [440, *rest], [FRAMES - 1, *rng.uniform(low, high, 2)]]
    near = 0.0 if seed % 2 else 34.0
    across = rng.uniform(0, 2 * np.pi)
    line = np.array([np.cos(across), np.sin(across)])
    beside = np.array([-line[1], line[0]]) * near
    middle = (start + jump + rest) / 2 + beside
    other = [[0, *(middle - 110 * line)], [190, *(middle - 110 * line)], [290, *(middle + 110 * line)]]
    other += [[FRAMES - 1, *(middle + 110 * line)]]
    return {
        "seed": seed,
        "n_frames": FRAMES,
        "field_px": FIELD,
        "snr": float(rng.choice([0.15, 0.25])),
        "polarity": str(rng.choice(["bright", "dark"])),
        "shadow_pct": float(rng.choice([0.0, 8.0])),
        "particle": {"length": 7, "cutoff": 2},
        "rotation": {"rms_deg": 2.5},
        "motion": {"path": path, "rms_px": 0.45, "pull": 0.05},
        "others": [
            {
                "particle": {"length": 6, "cutoff": 1},
                "motion": {"path": other, "rms_px": 0.4, "pull": 0.05},
                "present": [190, 290],
            }
        ],
        "background": {"graphene": [{"angle_deg": 7.0}, {"angle_deg": 24.0}], "liquid": {}},
        "blank_frames": [{"first": 60, "last": 64}, {"first": 500, "last": 515, "kind": "noparticle"}],
    }


def undisturbed(one, place):
    """Frames (n,) bool more than AROUND frames from any disturbance, without the second particle within NEAR_PX."""
    frame = np.arange(FRAMES)
    calm = np.ones(FRAMES, bool)
    for first, last in ((60, 64), (149, 150), (500, 515)):
        calm &= (frame < first - AROUND) | (frame > last + AROUND)
    (other,) = one["others"]
    path, (first, last) = np.array(other["motion"]["path"]), other["present"]
    way = np.stack([np.interp(frame, path[:, 0], path[:, axis]) for axis in (1, 2)], 1)
    present = (frame >= first) & (frame <= last)
    return calm & ~(present & (np.linalg.norm(way - place, axis=1) < NEAR_PX))


def score(seed, folder):
    one = spec(seed)
    truth = write_movie(one, folder / "movie.mrc", folder / "truth")
    names = {"tracks": "t.csv", "particle": "p.mrcs", "spectrum": "s.npz", "field": "f.png"}
    files = {key: folder / name for key, name in names.items()}
    track(movie=folder / "movie.mrc", **files, polarity=one["polarity"], box_px=96)
    table = pd.read_csv(files["tracks"])
    mass = np.array([xyz.mean(0) for *_, xyz in truth.states])[truth.state - 1]
    lab = np.einsum("nij,nj->ni", matrices(truth.quaternion), mass)
    place = truth.origin_px + lab[:, :2] / truth.spec["pixel_size_A"]
    off = table[["x_px", "y_px"]].to_numpy() - place
    seen = np.isin(truth.flag, ["ok", "edge"])
    whole = truth.flag == "ok"
    away = np.linalg.norm(off, axis=1)
    lost = seen & (away > LOST_PX)
    called_ok = (table.verdict == "ok").to_numpy()
    near = off[seen & ~lost]
    calm = whole & undisturbed(one, place)
    return {
        "seed": seed,
        "snr": one["snr"],
        "shadow %": one["shadow_pct"],
        "RMSE px": np.sqrt(np.square(near - near.mean(0)).sum(1).mean()),
        "lost": int(lost.sum()),
        "lost, called ok": int((lost & called_ok).sum()),
        "nothing seen": int((~seen).sum()),
        "nothing seen, called ok": int((~seen & called_ok).sum()),
        "whole and found, not called ok %": 100 * (~called_ok & whole & ~lost).sum() / whole.sum(),
        "of the undisturbed %": 100 * (~called_ok & calm & ~lost).sum() / calm.sum(),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    rows = []
    for seed in range(options.first, options.first + options.seeds):
        with tempfile.TemporaryDirectory() as folder, limited(1):
            rows.append(score(seed, Path(folder)))
        if len(rows) == 1:
            print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
        values = (f"{v:.2f}" if isinstance(v, float) else str(v) for v in rows[-1].values())
        print("| " + " | ".join(values) + " |", flush=True)
    table = pd.DataFrame(rows)
    print(
        f"\n{int(table['lost, called ok'].sum())} frames lost and called ok, "
        f"{int(table['nothing seen, called ok'].sum())} without a visible particle called ok, of {FRAMES * len(table)}"
    )


if __name__ == "__main__":
    main()
