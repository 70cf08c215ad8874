"""The 3D engine on simulated particles with known truth: poses, atoms, verdicts, cost, over seeds.

    python benchmarks/engine.py --atoms 330 --frames 1000 --snr 0.2 --step 2.5 --motion free --seeds 0 10
    python benchmarks/engine.py --movie RESULTS/NAME TRUTH --cut 0 300     (of a finished run: short windows)
    python benchmarks/engine.py --preset paper --atoms 180 --snr 0.1   (the published way on the same frames)
    python benchmarks/engine.py --table results/*.jsonl          (rows of a table from what was run)

Every run films one particle (perrin.simulate, no depth, no graphene), cuts boxes about centres that are off by 0.6 px
an axis (correlated over 5 frames, as the tracker's), and runs the stages' own functions: lattice lock and branches,
one window over all frames, joint refinement, error bars, verdict. Nothing of the truth is given but the element. A
line of JSON a run goes to standard output. Poses are scored against one consistent solution: up to one rotation,
inversion and translation of the body for all frames. One process, one thread unless NUMBA_NUM_THREADS says otherwise.
The published way denoises all frames and matches each by itself, as config/presets/paper.yaml says, and ends with the
atoms of the time average, which have no bars.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.accepted import Frames, read_accepted  # noqa: E402
from perrin.files.atomic import read_json  # noqa: E402
from perrin.files.elements import element as element_data  # noqa: E402
from perrin.files.errors import InputError  # noqa: E402
from perrin.files.stacks import write_stack  # noqa: E402
from perrin.frames.denoise import denoise  # noqa: E402
from perrin.imaging.grids import HALF_TURN  # noqa: E402
from perrin.imaging.lattice import fitted_constant, nearest_distance, rotation_group, sites, volume_per_atom  # noqa: E402
from perrin.imaging.rotations import angles_between  # noqa: E402
from perrin.rounds import model as stage_model  # noqa: E402
from perrin.rounds.average3d import average_by_continuity, beyond_the_lattice  # noqa: E402
from perrin.rounds.coupled import average_by_matching  # noqa: E402
from perrin.rounds.injected import mutual_pairs  # noqa: E402
from perrin.rounds.unstretch import unstretched  # noqa: E402
from perrin.rounds.verdict import overall, solution_checks  # noqa: E402
from perrin.rounds.volume import coverage_of, poses_of, profile_facts  # noqa: E402
from perrin.rounds.window3d import window_in_time  # noqa: E402
from perrin.settings import complete, read_schema  # noqa: E402
from perrin.simulate.movie import simulate_movie  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PIXEL_A = 0.358
MOTIONS = {
    "free": {},
    "cone": {"confine": {"kind": "cone", "body_axis": [0.3, 0.5, 0.8], "lab_axis": [0, 0, 1], "half_angle_deg": 25}},
    "band": {
        "spin_rms_deg": 2.0,
        "confine": {
            "kind": "band", "body_axis": [0.2, 0.4, 0.9], "lab_axis": [0, 1, 0], "centre_deg": 90, "half_width_deg": 30,
        },
    },
}  # fmt: skip


def particle(kind, atoms, metal, seed):
    """Positions of about `atoms` atoms, angstrom: an uneven ellipsoid of the lattice, a little displaced.

    kind : plain; vacancies (5 % of the inner atoms missing); adatoms (6 beyond the surface, off lattice sites);
        fault (a stacking fault through the middle); twin (a twin boundary off the middle); long (axes 1:1:2)
    """
    rng = np.random.default_rng([seed, 77])
    lattice_A = metal.lattice_A * (1 + rng.uniform(-0.01, 0.02))
    extra = {} if metal.c_over_a is None else {"c_over_a": metal.c_over_a}
    points = sites(metal.system, lattice_A, 34.0, **extra) - rng.uniform(-1, 1, 3)
    normal = np.ones(3) / np.sqrt(3)
    height = points @ normal
    layer = lattice_A / np.sqrt(3)
    if kind in ("twin", "fault"):
        first = height.min()
        plane = first + layer * round((rng.uniform(-2.5, 2.5) - first) / layer)
        if kind == "twin":
            mirrored = points - 2 * (height - plane)[:, None] * normal
            points = np.r_[points[height > plane - 0.1], mirrored[height > plane + 0.1]]
        else:
            slip = lattice_A / 6 * np.array([1, 1, -2])
            points = points + np.where(height > plane + 0.1, 1.0, 0.0)[:, None] * slip
    axes = np.exp(rng.normal(0, 0.1, 3)) * (np.array([0.8, 0.8, 1.6]) if kind == "long" else 1)
    turn = Rotation.random(rng=rng).as_matrix()
    # uneven: a low-order bump on the ellipsoid
    bump = 1 + 0.12 * np.tanh((points / (np.linalg.norm(points, axis=1, keepdims=True) + 1e-9)) @ turn[0])
    size = np.linalg.norm(points @ turn / axes, axis=1) / bump
    order = np.argsort(size)
    inside = points[order[:atoms]]
    if kind == "vacancies":
        core = np.flatnonzero(size[order[:atoms]] < 0.75 * size[order[atoms - 1]])
        inside = np.delete(inside, rng.choice(core, max(1, atoms // 20), replace=False), axis=0)
    if kind == "adatoms":
        bond = nearest_distance(metal.system, lattice_A)
        added = []
        while len(added) < 6:
            direction = rng.normal(size=3)
            direction /= np.linalg.norm(direction)
            reach = (inside @ direction).max()
            for extra in np.arange(reach + 3, 0, -0.02):  # lands where it first touches the surface
                place = extra * direction + rng.normal(0, 0.01, 3)
                if np.linalg.norm(inside - place, axis=1).min() < 0.97 * bond:
                    break
            if all(np.linalg.norm(place - other) > bond for other in added):
                added.append(place)
        inside = np.r_[inside, added]
    return inside - inside.mean(0) + rng.normal(0, 0.04, inside.shape)


def film(xyz, frames, snr, step, motion, seed, polarity="bright", element="Pt"):
    """Frames as the pipeline's clean ones, the true rotations (f, 3, 3) and shifts (f, 2)."""
    radius = np.linalg.norm(xyz, axis=1).max()
    box = int(2 * np.ceil((radius + 5) / PIXEL_A))
    field = box + 44
    spec = {
        "seed": seed, "n_frames": frames, "field_px": field, "snr": snr, "polarity": polarity, "element": element,
        "particle": {"xyz_A": xyz.tolist(), "strain_pct": 0.0, "displacement_A": 0.0, "contraction_A": 0.0},
        "rotation": {"rms_deg": step} | MOTIONS[motion], "motion": {"rms_px": 0.36, "limit_px": 18},
    }  # fmt: skip
    truth, chunks = simulate_movie(spec)
    rng = np.random.default_rng([seed, 78])
    noise = rng.normal(0, 0.6 * np.sqrt(1 - 0.8**2), (frames, 2))
    error = np.zeros((frames, 2))
    for f in range(frames):
        error[f] = 0.8 * error[f - 1] + noise[f]
    tracked = truth.origin_px + error
    corner = np.clip(np.rint(tracked).astype(int) - box // 2, 0, field - box)
    images = np.empty((frames, box, box), np.float32)
    first = 0
    for counts in chunks:
        for i, image in enumerate(counts):
            x, y = corner[first + i]
            images[first + i] = image[y : y + box, x : x + box]
        first += len(counts)
    level = images.mean()
    images -= level
    images /= np.sqrt(level) * (1 if polarity == "bright" else -1)
    images -= images.mean((1, 2), keepdims=True)
    centre = corner + box // 2
    data = Frames(
        images,
        np.arange(frames),
        np.arange(frames),
        centre,
        (tracked - centre) * PIXEL_A,
        np.ones(frames),
        PIXEL_A,
    )
    rotation = Rotation.from_quat(truth.quaternion, scalar_first=True).as_matrix()
    return data, rotation, (truth.origin_px - centre) * PIXEL_A


def consistent(found, true, group):
    """Share within 5 degrees of one consistent solution, median error (degrees), the label: body rotation and hand."""
    best = None
    for hand, turned in ((1, found), (-1, HALF_TURN @ found)):
        relative = np.einsum("fji,fjk->fik", true, turned)
        for f in range(0, len(relative), max(len(relative) // 60, 1)):
            angle = angles_between(relative, np.broadcast_to(relative[f], relative.shape))
            near = angle < np.radians(8)
            if best is None or near.sum() > best[0]:
                best = (near.sum(), hand, relative, near)
    _, hand, relative, near = best
    mean = Rotation.from_matrix(relative[near]).mean().as_matrix()
    error = np.degrees(angles_between(relative, np.broadcast_to(mean, relative.shape)))
    return float(np.mean(error < 5)), float(np.median(error)), mean, hand


def score_atoms(found, true, body, hand):
    """Recall, precision, RMSD after a rigid fit that starts from the poses' label; and surface misses, inventions."""
    placed = hand * found @ body.T
    placed = placed - placed.mean(0) + true.mean(0)
    start = placed
    best = (np.zeros((0, 2), int), placed)
    # the lattices may be a site apart
    near = true[np.argsort(np.linalg.norm(true - true.mean(0), axis=1))[:13]]
    for offset in near - near[0]:
        placed = start + offset
        for reach in (1.5, 1.2, 1.0, 1.0, 1.0):
            pairs = mutual_pairs(placed, true, reach)
            if len(pairs) < 4:
                break
            turn, _ = Rotation.align_vectors(
                true[pairs[:, 1]] - true[pairs[:, 1]].mean(0),
                placed[pairs[:, 0]] - placed[pairs[:, 0]].mean(0),
            )
            placed = turn.apply(placed - placed[pairs[:, 0]].mean(0)) + true[pairs[:, 1]].mean(0)
        pairs = mutual_pairs(placed, true, 1.0)
        if len(pairs) > len(best[0]):
            best = (pairs, placed)
    pairs, placed = best
    apart = placed[pairs[:, 0]] - true[pairs[:, 1]]
    rmsd = float(np.sqrt(np.square(apart).sum(1).mean())) if len(pairs) else None
    return len(pairs) / len(true), len(pairs) / max(len(found), 1), rmsd, pairs, apart


def cut_of(results, truth, first, last):
    """Frames of a finished run, what classes2d measured, the atoms then, true rotations."""
    results, truth = Path(results), Path(truth)
    data = read_accepted(
        results / "graphene/clean.mrcs",
        results / "classes2d/frames.csv",
        results / "track/tracks.csv",
        first,
        last,
    )
    rows = pd.read_csv(truth / "frames.csv").set_index("frame").loc[data.number]
    state = rows["state"].mode()[0]
    xyz = pd.read_csv(truth / f"atoms_state{state}.csv")[["x_A", "y_A", "z_A"]].to_numpy()
    rotation = Rotation.from_quat(rows[["qx", "qy", "qz", "qw"]].to_numpy()).as_matrix()
    return data, read_json(results / "classes2d/particle.json"), xyz, rotation


def filmed(options, metal, seed):
    """The same of a particle filmed for the purpose."""
    xyz = particle(options.kind, options.atoms, metal, seed)
    data, true_R, _ = film(
        xyz,
        options.frames,
        options.snr,
        options.step,
        options.motion,
        seed,
        options.polarity,
        options.element,
    )
    radius = (len(xyz) * volume_per_atom(metal.system, metal.lattice_A) / (4 * np.pi) * 3) ** (1 / 3)
    extent = 2 * np.linalg.norm(xyz, axis=1).max()
    rng = np.random.default_rng([seed, 79])
    # as classes2d measures it: to some per cent
    measured = {
        "diameter_A": 2 * radius * (1 + rng.normal(0, 0.02)),
        "extent_A": extent * (1 + rng.normal(0, 0.02)),
    }
    return data, measured, xyz, true_R


def configuration(preset):
    """What the pipeline runs with where a config file says no more than this."""
    return complete(preset, read_schema(ROOT / "config" / "schemas" / "config.schema.yaml"))


def run(options, seed):
    """One particle from nothing to a verdict; returns a dict of figures."""
    metal = element_data(options.element)
    if options.movie:
        data, measured, xyz, true_R = cut_of(*options.movie, *options.cut)
    else:
        data, measured, xyz, true_R = filmed(options, metal, seed)
    true_a_A, _ = fitted_constant(xyz, metal.system, metal.lattice_A)
    radius = (3 * len(xyz) * volume_per_atom(metal.system, true_a_A) / (4 * np.pi)) ** (1 / 3)
    begin = time.process_time()
    find = published_way if options.preset == "paper" else average_by_continuity
    solution, facts, verdict, why = find(data, metal, measured)
    lock_s = time.process_time() - begin
    group = rotation_group(metal.system)
    row = {
        "atoms": len(xyz), "kind": options.kind, "frames": len(data), "snr": options.snr, "step": options.step,
        "motion": options.motion, "element": options.element, "polarity": options.polarity, "seed": seed,
        "a_A": facts["a_A"], "radius_A": facts["radius_A"], "ball_A": radius, "lock": verdict, "lock_s": lock_s,
        "nats": facts["nats_per_frame"], "true_a_A": true_a_A, "preset": options.preset,
    }  # fmt: skip
    row["lock_share"], row["lock_deg"], *_ = consistent(solution.rotation, true_R, group)
    if options.preset == "paper":
        row["lattice_share"] = on_lattice(solution.rotation, true_R, group)
        return (
            row | scored(solution, xyz, true_R, group) | {"verdict": verdict, "why": why, "total_s": lock_s}
        )
    if verdict == "failed":
        return row | {"verdict": "failed", "why": why, "total_s": lock_s}
    _, _, solution, facts = beyond_the_lattice(data, solution, facts)
    row |= {name: facts[name] for name in ("a_A", "radius_A")}
    facts |= {"profile": profile_facts(solution.profile), "step_deg": float(solution.step_deg)}
    around = solution.xyz_A[solution.occupancy > 0.1]
    start = poses_of(solution, data.number)
    config = configuration({})
    rounds = config["window3d"]["n_rounds"]
    solution, history = window_in_time(data, start, facts, around, metal.system, rounds)
    seen = coverage_of(poses_of(solution, data.number), 2 * facts["radius_A"], metal.system)
    asked = data.pixel_A, metal.system, seen, data.gap, data.images
    verdict, why = overall(solution_checks(solution, *asked))
    if verdict != "failed":
        before = Draft(solution.xyz_A, solution.occupancy)
        solution = stage_model._at_rest(
            data,
            before,
            poses_of(solution, data.number),
            solution.profile,
            float(solution.step_deg),
            config["model"]["n_rounds"],
        )
        solution, strain = unstretched(data, solution, metal)
        solution, found, numbers, checks = stage_model._judged(data, solution, options.element, strain)
        verdict, why = overall(solution_checks(solution, *asked) + checks)
        row |= {
            "bound_A": numbers["bound_A"], "bound_known_A": numbers["bound_known_A"],
            "inflation": numbers["inflation"],
            "strain_least_seen": strain and strain["strain"], "unexplained": numbers["unexplained_share"],
        }  # fmt: skip
    row |= {"verdict": verdict, "why": why, "total_s": time.process_time() - begin}
    sigma_A = None if verdict == "failed" else found.sigma_A
    return row | scored(solution, xyz, true_R, group, sigma_A)


def published_way(data, metal, measured):
    """The time average by config/presets/paper.yaml: as `average_by_continuity` returns."""
    preset = yaml.safe_load((ROOT / "config" / "presets" / "paper.yaml").read_text())
    config = configuration(preset)
    used = ("rounds", "iterations", "half_mode", "reconstruction", "ridge")
    with tempfile.TemporaryDirectory() as folder:
        clean, stack = Path(folder) / "clean.mrcs", Path(folder) / "denoised.mrcs"
        write_stack(clean, data.images, data.pixel_A)
        denoise(
            clean=str(clean),
            denoised=str(stack),
            components=str(Path(folder) / "components.csv"),
            seed=1,
            **config["denoise"],
        )
        options = {name: config["average3d"][name] for name in used}
        data = replace(data, row=np.arange(len(data)))  # the stack has no other frames
        return average_by_matching(data, stack, metal, measured["diameter_A"], **options)


def on_lattice(found, true, group):
    """Share of frames within 5 degrees of one solution up to the lattice's rotations and the half turn."""
    relative = np.einsum("fji,fjk->fik", true, found)
    other = np.einsum("fji,fjk->fik", true, HALF_TURN @ found)
    every = np.concatenate([np.einsum("fij,gjk->fgik", turned, group) for turned in (relative, other)], 1)
    near = 1 + 2 * np.cos(np.radians(5))
    some = relative[:: max(len(relative) // 60, 1)]
    return max(float(np.mean(np.einsum("fgij,ij->fg", every, one).max(1) > near)) for one in some)


def scored(solution, xyz, true_R, group, sigma_A=None):
    """Poses and atoms against the truth; sigma_A (n, 3) : error bars, for the pull."""
    row = {"found": len(solution.xyz_A)}
    row["share"], row["median_deg"], body, hand = consistent(solution.rotation, true_R, group)
    row["recall"], row["precision"], row["rmsd_A"], pairs, apart = score_atoms(
        solution.xyz_A, xyz, body, hand
    )
    if sigma_A is not None and len(pairs) > 4:
        mean_sigma = np.sqrt(np.square(sigma_A[pairs[:, 0]]).mean(1, keepdims=True))
        row["pull"] = float(np.sqrt(np.mean(np.square(apart / mean_sigma))))
    if len(solution.xyz_A) == 0:
        row |= {"recall": 0.0, "precision": 0.0}
    lost = np.setdiff1d(np.arange(len(xyz)), pairs[:, 1])
    distances, _ = cKDTree(xyz).query(xyz, 2)
    inside = (np.linalg.norm(xyz[:, None] - xyz, axis=2) < 1.2 * np.median(distances[:, 1])).sum(1) > 12
    return row | {
        "missed_surface": int((~inside[lost]).sum()), "missed_inside": int(inside[lost].sum()),
        "invented": int(len(solution.xyz_A) - len(pairs)),
    }  # fmt: skip


class Draft:
    """Atoms as the model stage takes them."""

    def __init__(self, xyz_A, occupancy):
        self.xyz_A, self.occupancy = xyz_A, occupancy


def middle(runs, name):
    """Median over the runs that have the figure."""
    values = [r[name] for r in runs if r.get(name) is not None]
    return float(np.median(values)) if values else np.nan


def least(runs, name):
    """Worst of a share over the runs, in per cent; a run without it counts as nothing."""
    return 100 * min(r.get(name) or 0.0 for r in runs)


def table(files):
    """Print one line of a table for each setting that was run."""
    rows = [
        json.loads(line)
        for file in files
        for line in Path(file).read_text().splitlines()
        if line.startswith("{")
    ]
    settings = {}
    for r in rows:
        how = "" if r.get("preset", "default") == "default" else r["preset"]
        key = (r["element"], r["kind"], how, r["frames"], r["snr"], r["step"], r["motion"], r["polarity"])
        settings.setdefault((r.get("asked", r["atoms"]), *key), []).append(r)
    print(
        "| atoms | what | frames | SNR | step deg | motion | runs | one solution | poses within 5 deg % (least) | "
        "median deg | recall % (least) | precision % (least) | RMSD / bound | bars' pull | good, doubtful, failed | "
        "wrong and good | CPU s |"
    )
    print("|" + "---|" * 17)
    for key, runs in sorted(settings.items(), key=str):
        atoms, element, kind, how, frames, snr, step, motion, polarity = key
        ratio = [r["rmsd_A"] / r["bound_A"] for r in runs if r.get("bound_A") and r.get("rmsd_A")]
        right = [(r.get("share") or r["lock_share"]) >= 0.95 for r in runs]
        verdicts = [sum(r["verdict"] == v for r in runs) for v in ("good", "doubtful", "failed")]
        wrong = sum(
            r["verdict"] == "good" and (r.get("recall", 0) < 0.97 or r.get("precision", 0) < 0.97)
            for r in runs
        )
        what = (
            " ".join(w for w in (element, kind, polarity, how) if w and w not in ("Pt", "plain", "bright"))
            or "plain"
        )
        both = [
            f"{100 * middle(runs, name):.1f} ({least(runs, name):.1f})"
            for name in ("share", "recall", "precision")
        ]
        print(
            f"| {atoms} | {what} | {frames} | {snr} | {step} | {motion} | {len(runs)} | {sum(right)} | {both[0]} | "
            f"{middle(runs, 'median_deg'):.2f} | {both[1]} | {both[2]} | {np.median(ratio) if ratio else np.nan:.2f} | "
            f"{middle(runs, 'pull'):.2f} | {', '.join(map(str, verdicts))} | {wrong} | {middle(runs, 'total_s'):.0f} |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", nargs="+")
    parser.add_argument("--atoms", type=int, default=330)
    parser.add_argument("--kind", default="plain")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--snr", type=float, default=0.2)
    parser.add_argument("--step", type=float, default=2.5)
    parser.add_argument("--motion", default="free", choices=MOTIONS)
    parser.add_argument("--element", default="Pt")
    parser.add_argument("--polarity", default="bright")
    parser.add_argument("--movie", nargs=2, help="folder of results and folder of truth")
    parser.add_argument(
        "--cut", type=int, nargs=2, default=(0, None), help="first and last frame of the movie"
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 1), help="first and last + 1")
    parser.add_argument("--preset", default="default", choices=("default", "paper"))
    parser.add_argument("--log", action="store_true")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return
    if options.log:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    if options.movie:
        options.kind, options.atoms = Path(options.movie[0]).name, 0
    for seed in range(*options.seeds):
        try:
            row = run(options, seed)
        except (ValueError, InputError, np.linalg.LinAlgError) as error:
            row = {
                "seed": seed,
                "verdict": "failed",
                "why": repr(error),
                "lock_share": 0.0,
                "atoms": options.atoms,
            }
            row |= {
                n: getattr(options, n)
                for n in ("kind", "frames", "snr", "step", "motion", "element", "polarity", "preset")
            }
        print(json.dumps(row | {"asked": options.atoms}), flush=True)


if __name__ == "__main__":
    main()
