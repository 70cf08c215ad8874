"""Denoising variants against raw frames: poses and atoms on truth, over rotation speed and dose.

    python benchmarks/denoising.py SCORE [--frames 400] [--components 100] [--settings 0 1 2]

SCORE is a program (of its own) that compares poses and atoms with the truth. Movies come from perrin.simulate: 120
atoms of Pt in one state. They are tracked, cleaned and judged once; then each variant's frames take the place of the
clean frames in average3d, which finds poses and a draft of the atoms. Of N components as many are kept as the
published 500 of a trajectory of some thousand frames.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.frames.classes2d import classes2d  # noqa: E402
from perrin.frames.denoise import METHODS, denoise  # noqa: E402
from perrin.frames.graphene import subtract_graphene  # noqa: E402
from perrin.frames.track import track  # noqa: E402
from perrin.rounds.average3d import average3d  # noqa: E402
from perrin.settings import complete, read_schema  # noqa: E402
from perrin.simulate.write import write_movie  # noqa: E402
from perrin.stage import limited  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ((1.5, 17.0), (2.5, 8.5), (4.0, 17.0))  # degrees a frame, electrons a pixel
SNR_AT_17 = 0.25


def prepared(folder, rotation, dose, count, config):
    """Movie, track, clean frames and their judgement in a folder."""
    spec = {
        "seed": 5,
        "n_frames": count,
        "field_px": 128,
        "dose_e_px": dose,
        "snr": SNR_AT_17 * dose / 17,
        "particle": {
            "length": 6,
            "cutoff": 1,
            "lose": [{"frame": 0, "n_atoms": 20, "direction": [0.5, 1.0, 0.2], "weight": 3.0}],
        },
        "rotation": {"rms_deg": rotation},
        "motion": {"rms_px": 0.4, "limit_px": 12},
        "background": {"graphene": [{"angle_deg": 7.0}, {"angle_deg": 24.0}], "liquid": {}},
    }
    write_movie(spec, folder / "movie.mrc", folder / "truth")
    files = {
        "tracks": folder / "tracks.csv",
        "particle": folder / "particle.mrcs",
        "spectrum": folder / "spectrum.npz",
    }
    track(movie=folder / "movie.mrc", **files, field=folder / "field.png", box_px=80)
    subtract_graphene(
        **files,
        clean=folder / "clean.mrcs",
        sheets=folder / "sheets.csv",
        background_csv=folder / "background.csv",
        pixel_size_A=0.358,
        **config["subtract_graphene"],
    )
    classes2d(
        clean=folder / "clean.mrcs",
        denoised=folder / "clean.mrcs",
        tracks=files["tracks"],
        classes=folder / "classes.mrcs",
        frames=folder / "frames.csv",
        particle_json=folder / "particle.json",
        animation=folder / "classes.gif",
        sheet=folder / "sheet.png",
        element="Pt",
        frame_override=None,
        background_csv=folder / "background.csv",
        **config["classes2d"],
    )


def scored(score, *arguments):
    run = subprocess.run(
        [sys.executable, score, *map(str, arguments), "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


def row(folder, method, components, config, score):
    options = {**config["denoise"], "method": method, "n_components": components}
    started = time.process_time()
    frames = folder / f"{method}.mrcs"
    denoise(clean=folder / "clean.mrcs", denoised=frames, components=folder / "comp.csv", seed=1, **options)
    cost = time.process_time() - started
    names = [
        "poses.star",
        "poses.csv",
        "map.mrc",
        "half1.mrc",
        "half2.mrc",
        "corr.csv",
        "cov.json",
        "sites.csv",
    ]
    keys = ["poses", "poses_csv", "map", "half1", "half2", "correlation", "coverage", "sites"]
    average3d(
        clean=frames,
        denoised=frames,
        frames=folder / "frames.csv",
        tracks=folder / "tracks.csv",
        particle_json=folder / "particle.json",
        **{key: folder / name for key, name in zip(keys, names)},
        lattice=folder / "lattice.json",
        element="Pt",
        frame_rate_hz=400.0,
        seed=1,
        **config["average3d"],
    )
    poses = scored(score, "poses", folder / "truth", folder / "poses.csv")["consistent"]
    atoms = scored(score, "atoms", folder / "truth/atoms_state1.csv", folder / "sites.csv")
    return cost, poses, atoms


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("score")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--components", type=int, default=100)
    parser.add_argument("--settings", type=int, nargs="+", default=range(len(SETTINGS)))
    options = parser.parse_args()
    config = complete({}, read_schema(ROOT / "config/schemas/config.schema.yaml"))
    print(
        "| rotation deg/frame | dose e-/px | frames | pose error, median deg | poses within 5 deg % | recall % | "
        "precision % | RMSD A | CPU s of denoising |\n|---|---|---|---|---|---|---|---|---|"
    )
    for rotation, dose in (SETTINGS[i] for i in options.settings):
        with tempfile.TemporaryDirectory() as temporary, limited(1):
            folder = Path(temporary)
            prepared(folder, rotation, dose, options.frames, config)
            for method in ("off", *(m for m in METHODS if m != "off")):
                begin = f"| {rotation} | {dose} | {'raw' if method == 'off' else method} |"
                try:
                    cost, poses, atoms = row(folder, method, options.components, config, options.score)
                except (
                    ValueError,
                    ZeroDivisionError,
                    subprocess.CalledProcessError,
                    ArithmeticError,
                ) as error:
                    print(f"{begin} no poses: {str(error).splitlines()[0][:60]} | | | | | |", flush=True)
                    continue
                shares = (poses["share_within"], atoms["recall"], atoms["precision"])
                percent = " | ".join(f"{100 * share:.0f}" for share in shares)
                rmsd = "" if atoms["rmsd_A"] is None else f"{atoms['rmsd_A']:.3f}"
                print(f"{begin} {poses['median_deg']:.2f} | {percent} | {rmsd} | {cost:.1f} |", flush=True)


if __name__ == "__main__":
    main()
