"""Denoising variants and graphene subtraction judged by what the engine finds: from a movie to atoms, against truth.

    python benchmarks/denoising_found.py [--settings 1:17 2.5:8.5 4:17] [--variants raw shrinkage ...] [--seed 11]
    python benchmarks/denoising_found.py --graphene off static notch both published [--settings ...]

A movie of a tumbling cluster of 161 atoms of Pt under two sheets of graphene and some liquid (perrin.simulate), with
the electrons a pixel and degrees a frame of each setting (an atom's contrast is the same). It is tracked, cleaned
and judged once; then average3d, window3d (one window) and model run with their defaults, from nothing, on the frames of
each variant in place of the clean ones. "shrinkage, poses" takes denoised frames for poses and draft atoms only
(continuity_frames: denoised in average3d and window3d). The components kept by the kernel methods are the share of
the published 500 in 2,000 frames. With --graphene, frames are raw and the ways of subtracting the sheets are compared.

Poses: share within 5 degrees of one consistent solution, and the median error; one rotation of the body, and a half
turn about the beam where the mirror image was found (projections do not tell it). Atoms: mutual nearest neighbours
within 1 angstrom after a rigid fit. A failed window gives no atoms. Matched alone: share of the frames that
perrin.poses.matching.match, each by itself against the density of the true atoms (3 to 1.5 A), puts within 5 degrees.
With --rescore and the --keep of a former run, nothing is run but the frames' stages, matching and scores.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.atoms.density import simulate_density  # noqa: E402
from perrin.files.accepted import read_accepted  # noqa: E402
from perrin.files.models import read_atoms  # noqa: E402
from perrin.files.stacks import stack_info  # noqa: E402
from perrin.frames.classes2d import classes2d  # noqa: E402
from perrin.frames.denoise import denoise  # noqa: E402
from perrin.frames.graphene import subtract_graphene  # noqa: E402
from perrin.frames.track import track  # noqa: E402
from perrin.imaging.rotations import angles_between, matrices  # noqa: E402
from perrin.poses.matching import match  # noqa: E402
from perrin.rounds.average3d import average3d  # noqa: E402
from perrin.rounds.injected import mutual_pairs, rigid_fit  # noqa: E402
from perrin.rounds.model import model  # noqa: E402
from perrin.rounds.window3d import window3d  # noqa: E402
from perrin.settings import complete, read_schema  # noqa: E402
from perrin.simulate.write import write_movie  # noqa: E402
from perrin.stage import limited  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
ELEMENT, PIXEL_A, RATE_HZ = "Pt", 0.358, 400.0
SNR = 0.25  # at 17 e-/px
VARIANTS = ("raw", "shrinkage", "shrinkage, poses", "exact", "published", "program", "ridge")
HALF_TURN = np.diag([-1.0, -1.0, 1.0])
COLUMNS = (
    "rotation deg/frame",
    "dose e-/px",
    "frames",
    "matched alone %",
    "poses within 5 deg %",
    "median deg",
)
COLUMNS += ("recall %", "precision %", "RMSD A", "verdict", "CPU s")


def spec_of(step_deg, dose, frames, seed):
    """Specification of the movie: its SNR goes with the dose."""
    lost = [{"frame": 0, "n_atoms": 40, "direction": [0.5, 1.0, 0.2], "weight": 3.0}]
    return {
        "name": f"step {step_deg:g}, dose {dose:g}",
        "seed": seed,
        "element": ELEMENT,
        "n_frames": frames,
        "field_px": [112, 112],
        "dose_e_px": dose,
        "snr": SNR * dose / 17,
        "particle": {"length": 7, "cutoff": 2, "lose": lost},
        "rotation": {"rms_deg": step_deg},
        "motion": {"rms_px": 0.5, "pull": 0.002, "limit_px": 10},
        "background": {
            "graphene": [{"angle_deg": 7.0}, {"angle_deg": 24.0}],
            "liquid": {"fine_rms": 0.03, "coarse_rms": 0.02},
        },
    }


def named(folder, **names):
    return {key: str(folder / name) for key, name in names.items()}


def frames_of_movie(movie, folder, config, graphene):
    """track, subtract_graphene and classes2d, as their rules call them."""
    raw = named(folder, tracks="tracks.csv", particle="particle.mrcs", spectrum="spectrum.npz")
    if not Path(raw["particle"]).exists():
        track(
            movie=str(movie), field=str(folder / "field.png"), pixel_size_A=PIXEL_A, frame_rate_hz=RATE_HZ, seed=1,
            **raw, **config["track"],
        )  # fmt: skip
    clean = named(folder, clean="clean.mrcs", background_csv="background.csv")
    options = config["subtract_graphene"] | {"method": graphene}
    subtract_graphene(**raw, **clean, sheets=str(folder / "sheets.csv"), pixel_size_A=PIXEL_A, **options)
    outputs = named(folder, classes="classes.mrcs", frames="frames.csv", particle_json="particle.json")
    outputs |= named(folder, animation="classes.gif", sheet="sheet.png")
    classes2d(
        **clean, denoised=clean["clean"], tracks=raw["tracks"], element=ELEMENT, frame_override=None,
        **outputs, **config["classes2d"],
    )  # fmt: skip


def found_by(clean, denoised, folder, frames, config, use):
    """average3d, window3d and model into `folder`; the frames' files are in `frames`."""
    given = named(frames, frames="frames.csv", tracks="tracks.csv") | {"clean": str(clean)}
    stacks = {"denoised": str(denoised)}
    average = {name: f"average_{name}.mrc" for name in ("map", "half1", "half2")}
    average |= {"poses": "average.star", "poses_csv": "average.csv", "correlation": "correlation.csv"}
    average |= {"coverage": "average_coverage.json", "sites": "sites.csv", "lattice": "lattice.json"}
    average3d(
        **given, **stacks, **named(frames, particle_json="particle.json"), **named(folder, **average),
        element=ELEMENT, frame_rate_hz=RATE_HZ, polarity="bright", seed=1, start_model=None,
        **config["average3d"] | {"continuity_frames": use},
    )  # fmt: skip
    number = pd.read_csv(frames / "tracks.csv")["frame"]
    span = {
        "element": ELEMENT,
        "first_frame": int(number.iloc[0]),
        "last_frame": int(number.iloc[-1]),
        "seed": 1,
    }
    window = {name: f"{name}.mrc" for name in ("map", "half1", "half2")}
    window |= {name: f"{name}.csv" for name in ("fsc", "rounds", "draft")}
    window |= {"poses": "poses.star", "poses_csv": "poses.csv", "coverage": "coverage.json"}
    window |= {"profile": "profile.json"}
    window3d(
        **given, **stacks, **named(folder, average_poses="average.csv", sites="sites.csv", lattice="lattice.json"),
        **named(folder, **window), **span, **config["window3d"] | {"continuity_frames": use},
    )  # fmt: skip
    ends = {"atoms": "atoms.csv", "cif": "atoms.cif", "pdb": "atoms.pdb", "xyz": "atoms.xyz"}
    ends |= {"density": "density.mrc", "profile_csv": "profile.csv", "model_json": "model.json"}
    names = {"window_poses": "poses.csv", "draft": "draft.csv", "profile": "profile.json"}
    names |= {"coverage": "coverage.json", "window_map": "map.mrc"}
    model(
        **given,
        **named(folder, **names),
        **named(folder, **ends),
        polarity="bright",
        **span,
        **config["model"],
    )


def consistent(found, true, limit_deg=5.0):
    """The one turn of the body that most frames agree with: D with R_true = H R_found D^T, H 1 or the half turn.

    returns D, whether the mirror image was found, errors (f,) degrees
    """
    best = None
    for mirrored in (False, True):
        turned = HALF_TURN @ found if mirrored else found
        each = np.swapaxes(true, 1, 2) @ turned
        for D in each[:: max(1, len(each) // 60)]:
            for _ in range(3):
                error = np.degrees(angles_between(each, np.broadcast_to(D, each.shape)))
                near = error < limit_deg
                if not near.any():
                    break
                D = Rotation.from_matrix(each[near]).mean().as_matrix()
            error = np.degrees(angles_between(each, np.broadcast_to(D, each.shape)))
            share = (error < limit_deg).mean()
            if best is None or share > best[0]:
                best = (share, D, mirrored, error)
    return best[1:]


def paired(xyz, truth, D, mirrored, limit_A=1.0):
    """Number of atoms found again and their RMSD, in angstrom, from the poses' frame onto the true one."""
    if len(xyz) < 4:
        return 0, np.nan
    turned = (-xyz if mirrored else xyz) @ D.T
    turned = turned - turned.mean(0) + truth.mean(0)
    # a part of the particle may be missing: begin from the neighbouring sites as well
    steps = [[0, 0, 0]] + [[i, j, k] for i in (-2, 0, 2) for j in (-2, 0, 2) for k in (-2, 0, 2)]
    best = (0, np.nan)
    for step in steps:
        moved = turned + np.array(step, float)
        for reach in (2.0, 1.5, 1.2, 1.0, limit_A, limit_A):
            pairs = mutual_pairs(truth, moved, reach)
            if len(pairs) < 4:
                break
            moved = _fit_all(moved, moved[pairs[:, 1]], truth[pairs[:, 0]])
        pairs = mutual_pairs(truth, moved, limit_A)
        if len(pairs) > best[0]:
            a, b = moved[pairs[:, 1]], truth[pairs[:, 0]]
            best = len(pairs), float(np.sqrt(np.square(rigid_fit(a, b) - b).sum(1).mean()))
    return best


def _fit_all(points, moving, fixed):
    turn, _ = Rotation.align_vectors(fixed - fixed.mean(0), moving - moving.mean(0))
    return turn.apply(points - moving.mean(0)) + fixed.mean(0)


def matched_alone(stack, work, truth, pixel_A):
    """Share of the accepted frames that are found within 5 degrees of the truth against the true atoms' density."""
    names = [str(work / name) for name in ("frames.csv", "tracks.csv")]
    data = read_accepted(str(stack), *names)
    xyz = truth.states[0][2]
    density = simulate_density(xyz, ELEMENT, data.box_size_px, pixel_A)
    reach = float(np.linalg.norm(xyz, axis=1).max()) + 3
    poses, _ = match(data.images, density, mask_radius_A=reach)
    true = Rotation.from_quat(truth.quaternion[data.number], scalar_first=True).as_matrix()
    return float(np.mean(np.degrees(angles_between(matrices(poses.quaternion), true)) < 5))


def scores(folder, truth, pixel_A, box_px):
    """One line of results, as text, in the order of COLUMNS from the poses on, without the CPU seconds."""
    poses = pd.read_csv(folder / "poses.csv")
    frames = poses["frame"].to_numpy(int)
    found = Rotation.from_quat(poses[["qw", "qx", "qy", "qz"]].to_numpy(), scalar_first=True).as_matrix()
    true = Rotation.from_quat(truth.quaternion[frames], scalar_first=True).as_matrix()
    D, mirrored, error = consistent(found, true)
    facts = json.loads((folder / "model.json").read_text())
    xyz = read_atoms(folder / "atoms.csv", box_px, pixel_A).xyz_A
    atoms = truth.states[0][2]
    count, rmsd = paired(xyz, atoms, D, mirrored)
    recall = f"{100 * count / len(atoms):.1f}"
    precision = f"{100 * count / len(xyz):.1f}" if len(xyz) else ""
    distance = f"{rmsd:.3f}" if np.isfinite(rmsd) else ""
    said = facts["verdict"]
    if said != "good":
        wrong = [c["name"] for c in facts["checks"] if c["verdict"] != "good"]
        said += ": " + (", ".join(wrong) or "average3d")
    return (
        f"{100 * (error < 5).mean():.1f}", f"{np.median(error):.2f}", recall, precision, distance, said,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--settings", nargs="+", default=["1:17", "2.5:8.5", "4:17"])
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--graphene", nargs="+", default=())
    parser.add_argument("--frames", type=int, default=700)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--keep", help="folder in which everything is left")
    parser.add_argument("--rescore", action="store_true", help="score what a run with the same --keep left")
    options = parser.parse_args()
    config = complete({}, read_schema(ROOT / "config" / "schemas" / "config.schema.yaml"))
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS), flush=True)
    with tempfile.TemporaryDirectory() as temporary, limited(1):
        for setting in options.settings:
            step, dose = (float(v) for v in setting.split(":"))
            work = Path(options.keep or temporary) / f"step{step:g}_dose{dose:g}_seed{options.seed}"
            work.mkdir(parents=True, exist_ok=True)
            truth = write_movie(
                spec_of(step, dose, options.frames, options.seed), work / "movie.mrc", work / "truth"
            )
            for number, name in enumerate(options.graphene or options.variants):
                folder = work / f"{'graphene' if options.graphene else 'variant'}_{name.replace(', ', '_')}"
                folder.mkdir(exist_ok=True)
                method, _, for_poses = name.partition(", ")
                cost = ""
                if options.graphene or number == 0:
                    frames_of_movie(work / "movie.mrc", work, config, name if options.graphene else "static")
                clean = stack = work / "clean.mrcs"
                if not options.graphene and method != "raw":
                    stack = folder / "denoised.mrcs"
                if not options.rescore:
                    begin = time.process_time()
                    if stack != clean:
                        kept = {"method": method, "n_components": round(0.25 * options.frames)}
                        denoise(
                            clean=str(clean), denoised=str(stack), components=str(folder / "components.csv"), seed=1,
                            **config["denoise"] | kept,
                        )  # fmt: skip
                    use = "denoised" if for_poses else "clean"
                    found_by(clean if for_poses else stack, stack, folder, work, config, use)
                    cost = f"{time.process_time() - begin:.0f}"
                alone = f"{100 * matched_alone(stack, work, truth, PIXEL_A):.1f}"
                (_, box_px, _), _ = stack_info(clean)
                line = [f"{step:g}", f"{dose:g}", name, alone, *scores(folder, truth, PIXEL_A, box_px), cost]
                print("| " + " | ".join(line) + " |", flush=True)


if __name__ == "__main__":
    main()
