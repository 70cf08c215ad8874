"""Parts of a small results folder, written by the writers and the stages of perrin where these are quick."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from scipy.spatial.transform import Rotation

from perrin.files.atomic import write_json, write_text
from perrin.files.maps import write_map
from perrin.files.models import write_atoms, write_cif
from perrin.files.poses import write_poses
from perrin.files.records import Atoms, Map, Poses
from perrin.files.tables import write_table
from perrin.maps.fsc import fsc_columns
from perrin.report.page import report
from perrin.states.dynamics import dynamics
from perrin.states.statistics import statistics

PROJECT = Path(__file__).resolve().parents[2]
SCHEMA = yaml.safe_load((PROJECT / "config/schemas/config.schema.yaml").read_text(encoding="utf-8"))
A_PT, PIXEL, BOX, RATE = 3.9242, 0.358, 96, 400.0
WINDOWS = ((0, 299), (300, 599), (600, 899), (900, 1199))
FAILED = 2
LOST = (0, 9, None, 20)


def keys(stage, **other):
    """The config keys of a stage: the schema's defaults."""
    return {k: v["default"] for k, v in SCHEMA["properties"][stage]["properties"].items()} | other


def crystal():
    """(177, 3) atoms of a round fcc crystal, angstrom, in the order in which they leave."""
    g = np.arange(-6, 7)
    points = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    points = points[(points.sum(1) % 2 == 0) & ((points**2).sum(1) <= 18)]
    return points[np.argsort(-points @ [1, 2, 3], kind="stable")] * A_PT / 2


def name_of(window):
    return f"f{window[0]:06d}-{window[1]:06d}"


def rows_for(*names):
    """Rows of the sample sheet."""
    return [
        {"name": n, "movie": f"{n}.mrc", "pixel_size_A": PIXEL, "frame_rate_hz": RATE, "element": "Pt",
         "polarity": "bright"} for n in names
    ]  # fmt: skip


def write_before_windows(folder, rng):
    """What the stages before the windows leave, as far as the report reads it."""
    frames = np.arange(1200)
    for file, shape in (("track/field.png", (400, 400)), ("classes2d/sheet.png", (300, 1300))):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, shape, dtype=np.uint8)).save(folder / file)
    np.savez(folder / "track/spectrum.npz", faulty_px=np.array([[7, 31], [90, 4]]))
    pages = [Image.fromarray(rng.integers(0, 255, (60, 60), dtype=np.uint8)) for _ in range(5)]
    pages[0].save(folder / "classes2d/classes.gif", save_all=True, append_images=pages[1:], duration=100)
    accepted = (frames % 40 != 0).astype(int)
    table = {"frame": frames, "accepted": accepted, "reason": np.where(accepted, "", "too noisy")}
    write_table(folder / "classes2d/frames.csv", table, {n: ("", n) for n in table})
    write_json(
        folder / "classes2d/particle.json", {"verdict": "good", "why": "97 % of the frames are usable"}
    )
    turn = Rotation.random(1200, rng=rng)
    poses = Poses(frames, turn.as_quat(scalar_first=True), np.zeros((1200, 2)), np.ones(1200), np.ones(1200))
    write_poses(folder / "average3d/poses.csv", poses)
    correlation = {"frame": frames, "time_s": frames / RATE, "correlation": 0.4 + rng.normal(0, 0.05, 1200)}
    write_table(folder / "average3d/correlation.csv", correlation, {n: ("", n) for n in correlation})
    write_json(folder / "average3d/coverage.json", {"verdict": "good", "why": "80 % of all directions seen"})
    write_json(folder / "average3d/lattice.json", {"verdict": "good", "why": "locked", "a_A": A_PT})
    evidence = {"frame": frames, "time_s": frames / RATE, "llr": np.cumsum(rng.normal(0, 1, 1200))}
    write_table(folder / "segment/evidence.csv", evidence, {n: ("", n) for n in evidence})
    write_json(folder / "segment/tree.json", {"verdict": "good", "why": "three changes at 1 % false alarms"})
    first = np.array([w[0] for w in WINDOWS])
    table = {
        "window": [name_of(w) for w in WINDOWS], "first_frame": first, "last_frame": [w[1] for w in WINDOWS],
        "first_low": first - 5 * (first > 0), "first_high": first + 5 * (first > 0), "reason": ["the movie starts"] +
        ["likelihood ratio 312"] * (len(WINDOWS) - 1),
    }  # fmt: skip
    write_table(folder / "segment/windows.tsv", table, {n: ("", n) for n in table})


def write_window(folder, window, xyz, rng, verdict):
    """A window's files; without atoms where it failed."""
    here = folder / "windows" / name_of(window)
    here.mkdir(parents=True)
    n = len(xyz)
    model = Atoms(xyz, np.ones(n), np.tile(np.eye(3) * 0.08**2, (n, 1, 1)), np.full(n, 0.995), "Pt")
    write_atoms(here / "atoms.csv", model, BOX, PIXEL)
    write_cif(here / "atoms.cif", model, BOX, PIXEL)
    data = rng.normal(0, 0.05, (BOX,) * 3).astype(np.float32)
    for x, y, z in np.round(xyz / PIXEL).astype(int) + BOX // 2:
        data[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2] += 1
    for name in ("map", "half1", "half2", "density"):
        write_map(here / f"{name}.mrc", Map(data, PIXEL))
    f = np.arange(1, 48) / (BOX * PIXEL)
    fsc = {
        "shell": np.arange(1, 48),
        "frequency_per_A": f,
        "resolution_A": 1 / f,
        "fsc": 1 / (1 + (f / 0.9) ** 12),
    }
    write_table(here / "fsc.csv", fsc, fsc_columns())
    write_json(
        here / "profile.json", {"verdict": "good", "why": "settled", "resolution_A": 0.95, "pixel_A": PIXEL}
    )
    write_json(here / "coverage.json", {"verdict": "good", "why": "300 frames saw 61 % of the Fourier shell"})
    why = "no structure <b>passed</b> & held" if verdict == "failed" else "atoms agree in both halves"
    check = {"name": "atoms alike in both halves", "value": 0.98, "limit": 0.9, "verdict": verdict}
    write_json(here / "model.json", {"verdict": verdict, "why": why, "n_atoms": n, "frames": 290, "box_px": BOX,
               "pixel_A": PIXEL, "bound_A": 0.07, "halves": {"matched_share": 0.98, "rmsd_A": 0.11},
               "hand": {"verdict": "undetermined", "nats_per_frame": -0.049, "nats_per_frame_sigma": 0.11},
               "injected": None, "checks": [check]})  # fmt: skip
    statistics(
        atoms=here / "atoms.csv", model_json=here / "model.json", atoms_stats=here / "atoms_stats.csv",
        state=here / "state.csv", depth=here / "depth.csv", strain_pdb=here / "strain.pdb", name=folder.name,
        window=name_of(window), element="Pt", frame_rate_hz=RATE, seed=1, **keys("statistics", draws=12),
        window_map=here / "map.mrc" if window == WINDOWS[0] else None,
    )  # fmt: skip


def write_after_windows(folder):
    """Events, and the real stage dynamics."""
    frames = np.arange(1200)
    windows = folder / "windows"
    each = {
        name: [windows / name_of(w) / file for w in WINDOWS]
        for name, file in [("atoms", "atoms.csv"), ("states", "state.csv"), ("model_jsons", "model.json")]
    }
    out = {n: folder / "dynamics" / f"{n}.csv" for n in ("changes", "lives", "core", "rates")}
    dynamics(
        windows=folder / "segment/windows.tsv", **each, **out, states_csv=folder / "dynamics/states.csv",
        category=folder / "dynamics/category.json", trajectory_xyz=folder / "dynamics/trajectory.extxyz",
        name=folder.name, element="Pt", frame_rate_hz=RATE, seed=1, **keys("dynamics"),
    )  # fmt: skip
    events = {"atom": [3, 7], "event": ["left", "left"], "frame": [301, 899], "frame_low": [290, 880],
              "frame_high": [310, 910], "x_A": [1.0, 2.0], "y_A": [1.0, 2.0], "z_A": [1.0, 2.0],
              "site": ["corner", "edge"], "probability": [0.99, 0.8]}  # fmt: skip
    write_table(folder / "events/events.csv", events, {n: ("", n) for n in events})
    # sites 1 to 20 empty one by one from frame 300 on, site 200 fills at frame 600
    points, held = crystal() + 15, np.ones((178, 1200), bool)
    for k in range(20):
        held[k, 300 + 10 * k :] = False
    held[177, :600] = False
    np.savez_compressed(folder / "events/evidence.npz", frame=frames, present=held,
                        xyz_A=np.vstack([points, points[:1] + [0, 0, 4 * A_PT]]))  # fmt: skip
    write_text(
        folder / "events/events.svg",
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 120"><path d="M0 60H400" stroke="#000"/></svg>',
    )


def write_truth(folder, points):
    """The truth of the trajectory: other axes, another origin, the other hand."""
    folder.mkdir(parents=True)
    turn = Rotation.from_euler("xyz", [20, 50, 110], degrees=True).as_matrix()
    state = np.searchsorted([300, 900], np.arange(1200), side="right") + 1
    lines = ["frame,x_px,y_px,state"] + [f"{f},48,48,{s}" for f, s in enumerate(state)]
    write_text(folder / "frames.csv", "\n".join(lines) + "\n")
    for number, gone in ((1, 0), (2, 9), (3, 20)):
        xyz = -(points[gone:] @ turn.T) + [3.0, -1.0, 0.4]
        rows = [f"Pt,{x:.4f},{y:.4f},{z:.4f},{i}" for i, (x, y, z) in enumerate(xyz)]
        write_text(folder / f"atoms_state{number}.csv", "\n".join(["element,x_A,y_A,z_A,id", *rows]) + "\n")


def write_report(results, names, truth=None, **other):
    """Run the stage; returns the text of the index, with whole trajectories unless told otherwise."""
    index = results / "report/index.html"
    report(
        pages=results / "report/trajectories", figures=results / "report/figures",
        states_table=results / "summary/states.csv", trajectories_table=results / "summary/trajectories.csv",
        index=index, results=results, rows=rows_for(*names), truth=truth or {}, **keys("report", **other),
    )  # fmt: skip
    return index.read_text(encoding="utf-8")
