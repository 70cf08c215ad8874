"""Bad frames planted in a multislice movie: which are rejected, and which good ones with them.

    python benchmarks/bad_frames.py SIMULATOR SPEC.yaml [--frames 400] [--work FOLDER]

SIMULATOR is the program (of its own, multislice) that made the test movies, SPEC.yaml the specification of one of them.
Three movies of the same particle in the same poses are made: as specified; 150 A out of focus; with a second particle
that comes into the field, passes over the first and leaves, in 120 frames; it hits the first where their discs overlap.
In the third, every eighth of the other frames is replaced: out of focus, double-exposed (the sum of two frames 40
apart), blank, without the particle's image (the field's average), by turns. Then track, subtract_graphene and
classes2d run as by default.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.frames.classes2d import classes2d  # noqa: E402
from perrin.frames.graphene import subtract_graphene  # noqa: E402
from perrin.frames.track import track  # noqa: E402
from perrin.settings import complete, read_schema  # noqa: E402
from perrin.stage import limited  # noqa: E402

KINDS = ("out of focus", "double-exposed", "blank", "no particle")
PASSAGE = "hit by another particle"
PASSING = (260, 380)
HIT_A = 10.5 + 7.0  # distance at which the two discs touch
ROOT = Path(__file__).resolve().parents[1]


def simulated(simulator, spec, folder, name, count):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(spec))
    out = folder / name
    if not (out / "movie.mrc").exists():
        subprocess.run([sys.executable, simulator, path, out], check=True, stdout=subprocess.DEVNULL)
    with mrcfile.open(out / "movie.mrc", permissive=True) as movie:
        return np.array(movie.data).view(np.uint8)[:count]


def movies(simulator, spec_path, folder, count):
    spec = yaml.safe_load(Path(spec_path).read_text())
    spec["n_frames"] = count
    base = Path(spec_path).resolve().parent
    for state in spec["particle"]["states"]:
        state["file"] = str((base / state["file"]).resolve())
    spec["particle"]["states"] = spec["particle"]["states"][:1]
    plain = simulated(simulator, spec, folder, "plain", count)
    blurred = yaml.safe_load(yaml.safe_dump(spec))
    scherzer = -53.24 if blurred["optics"].get("C3_um", -10) < 0 else 53.24
    blurred["optics"]["defocus_A"] = scherzer + 150
    out_of_focus = simulated(simulator, blurred, folder, "out", count)
    truth = pd.read_csv(folder / "plain/truth/frames.csv")
    hit = yaml.safe_load(yaml.safe_dump(spec))
    first, last = PASSING
    line, beside = (
        np.array([0.88, -0.47]),
        np.array([9.4, 17.6]),
    )  # the way of the other, 20 px off the centre
    along = np.linspace(-110, 110, last - first + 1)
    way = truth[["x_px", "y_px"]].to_numpy()[first : last + 1] + along[:, None] * line + beside
    distance = np.full(count, np.inf)
    distance[first : last + 1] = np.hypot(along, 20) * spec["pixel_size_A"]
    one = {
        "present": [first, last],
        "states": [{"build": {"shape": "sphere", "radius_A": 7, "lattice_A": 3.92}, "first_frame": 0}],
        "rotation": {"rms_deg_per_frame": 2.5},
        "motion": {
            "path": [[first + i, *map(float, place)] for i, place in enumerate(way)],
            "rms_px_per_frame": 0.0,
        },
    }
    hit["others"] = [one]
    return plain, out_of_focus, simulated(simulator, hit, folder, "hit", count), distance < HIT_A, spec


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("simulator")
    parser.add_argument("spec")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--work", help="folder for the movies; they are used again where they are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, limited(1):
        folder = Path(options.work or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        plain, out_of_focus, hit, hits, spec = movies(options.simulator, options.spec, folder, options.frames)
        counts = hit.copy()
        rng = np.random.default_rng(1)
        planted = np.full(options.frames, "", dtype=object)
        planted[hits] = PASSAGE
        for number, frame in enumerate(f for f in range(44, options.frames, 8) if not hits[f]):
            kind = planted[frame] = KINDS[number % len(KINDS)]
            if kind == KINDS[0]:
                counts[frame] = out_of_focus[frame]
            elif kind == KINDS[1]:
                counts[frame] = np.minimum(plain[frame].astype(int) + plain[frame - 40], 127)
            elif kind == KINDS[2]:
                counts[frame] = rng.poisson(0.3, counts[frame].shape)
            else:
                counts[frame] = rng.poisson(plain.mean(0))
        np.save(folder / "planted.npy", counts)
        names = "t.csv p.mrcs s.npz f.png clean.mrcs sheets.csv back.csv c.mrcs frames.csv p.json c.gif c.png"
        t, p, s, f, clean, sheets, back, c, frames, json, gif, png = (folder / n for n in names.split())
        config = complete({}, read_schema(ROOT / "config/schemas/config.schema.yaml"))
        facts = {"pixel_size_A": spec["pixel_size_A"]}
        polarity = {"polarity": spec["polarity"]}
        track(movie=folder / "planted.npy", tracks=t, particle=p, spectrum=s, field=f, **facts, **polarity)
        subtract_graphene(
            particle=p,
            tracks=t,
            spectrum=s,
            clean=clean,
            sheets=sheets,
            background_csv=back,
            **facts,
            **config["subtract_graphene"],
        )
        classes2d(
            clean=clean,
            denoised=clean,
            tracks=t,
            classes=c,
            frames=frames,
            particle_json=json,
            animation=gif,
            sheet=png,
            background_csv=back,
            element="Pt",
            frame_override=None,
            **config["classes2d"],
        )
        table = pd.read_csv(frames, keep_default_na=False)
        rejected = table["accepted"].to_numpy() == 0
    print("| frames | planted | rejected | % | reasons |\n|---|---|---|---|---|")
    for kind in (*KINDS, PASSAGE, ""):
        own = planted == kind
        reasons = table["reason"][own & rejected].value_counts().to_dict()
        why = ", ".join(f"{reason}: {number}" for reason, number in reasons.items())
        share = 100 * rejected[own].mean()
        print(f"| {kind or 'good'} | {own.sum()} | {(rejected & own).sum()} | {share:.1f} | {why} |")
    bad = planted != ""
    print(f"| all planted | {bad.sum()} | {(rejected & bad).sum()} | {100 * rejected[bad].mean():.1f} | |")


if __name__ == "__main__":
    main()
