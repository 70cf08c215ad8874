"""The stages segment and events on small movies with planted changes, and on what can go wrong."""

import json

import numpy as np
import pandas as pd
import pytest
from planted import atoms_file, facts, images_of, json_file, particle, poses_file, walk, write_movie

from perrin.files.errors import InputError
from perrin.files.models import file_origin_A
from perrin.imaging.rotations import rotvec_matrices
from perrin.windows.events import EVENT_COLUMNS, events
from perrin.windows.segment import EVIDENCE_COLUMNS, WINDOW_COLUMNS, segment

SEGMENT = {
    "frame_rate_hz": 400.0, "segments_override": None, "seed": 1, "method": "atoms", "min_frames": 100,
    "least_atoms": 3,    "false_alarm": 0.01, "inflation": 1.15, "rounds": 1, "equal_frames": 150,
}  # fmt: skip
EVENTS = {
    "frame_rate_hz": 400.0, "seed": 1, "false_alarm": 0.01, "inflation": 1.15, "rounds": 1, "hop_factor": 1.25,
    "interval_level": 0.95,
}  # fmt: skip
FRAMES = 400


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """400 frames: five atoms leave at 180, one hops to an empty site at 300, one is gone from 60 to 110."""
    folder = tmp_path_factory.mktemp("movie")
    xyz, rotation = particle(), walk(FRAMES, seed=3)
    top = np.argsort(xyz[:, 2])
    gone, hopper, absent = top[-5:], top[0], top[3]
    # a free site on the surface beside the hopper: it continues the lattice
    steps = xyz[:, None] - xyz[None]
    step = steps[np.abs(np.linalg.norm(steps, axis=-1) - 3.9242 / np.sqrt(2)) < 0.01]
    sites = xyz[hopper] + step
    free = np.linalg.norm(sites[:, None] - xyz[None], axis=-1).min(1) > 2
    near = (np.linalg.norm(sites[:, None] - xyz[None], axis=-1) < 3).sum(1) - 1
    target = sites[np.argmax(np.where(free, near, -1))]
    all_sites = np.concatenate([xyz, [target]])
    present = np.ones((FRAMES, len(all_sites)))
    present[180:, gone] = 0
    present[300:, hopper] = 0
    present[:300, -1] = 0
    present[60:110, absent] = 0
    images = images_of(all_sites, present, rotation, seed=5)
    accepted = np.ones(FRAMES, int)
    accepted[[20, 21, 250]] = 0
    rng = np.random.default_rng(6)
    measured = rotvec_matrices(rng.normal(0, np.radians(0.4), (FRAMES, 3))) @ rotation
    return {
        "folder": folder, "movie": write_movie(folder, images, accepted), "xyz": all_sites, "present": present,
        "rotation": measured, "kept": np.flatnonzero(accepted), "gone": gone, "hopper": hopper, "absent": absent,
    }  # fmt: skip


def segment_files(world, folder, **changes):
    kept = world["kept"]
    mean = world["present"].mean(0)
    curve = {
        "frame": kept,
        "time_s": kept / 400,
        "correlation": 0.3,
        "amplitude": 1.0,
        "amplitude_sigma": 0.1,
    }
    pd.DataFrame(curve).to_csv(folder / "correlation.csv", index=False)
    files = world["movie"] | {
        "poses_csv": poses_file(folder / "poses.csv", kept, world["rotation"][kept]),
        "sites": atoms_file(folder / "sites.csv", world["xyz"][mean > 0.5], mean[mean > 0.5]),
        "lattice": json_file(folder / "lattice.json", facts()),
        "correlation": folder / "correlation.csv",
        "windows": folder / "windows.tsv", "evidence": folder / "evidence.csv", "tree": folder / "tree.json",
    }  # fmt: skip
    return files | changes


def results(files):
    return (
        pd.read_csv(files["windows"], sep="\t"),
        pd.read_csv(files["evidence"]),
        json.loads(files["tree"].read_text()),
    )


def test_segment_finds_the_planted_boundary(world, tmp_path):
    """Would catch a boundary missed, misplaced or made up, from poses and atoms that blend both states."""
    files = segment_files(world, tmp_path)
    segment(**files, **SEGMENT)
    windows, evidence, tree = results(files)
    assert list(windows.columns) == list(WINDOW_COLUMNS) and list(evidence.columns) == list(EVIDENCE_COLUMNS)
    assert len(windows) == 2 and abs(windows.first_frame[1] - 180) <= 2
    assert windows.last_frame[0] == windows.first_frame[1] - 1 and windows.last_frame[1] == FRAMES - 1
    assert windows.first_low[1] <= windows.first_frame[1] <= windows.first_high[1] <= 185
    assert windows.window[0] == f"f000000-{windows.last_frame[0]:06d}"
    assert tree["verdict"] == "good" and tree["tests"][0]["left"] == 5 and "5 left" in windows.reason[1]
    assert np.array_equal(evidence.frame, np.arange(FRAMES)) and evidence.used[[20, 21, 250]].sum() == 0
    assert abs(evidence.gain_nats.idxmax() - 180) <= 2
    atoms = len(world["xyz"]) - 1
    assert evidence.n_atoms[150] == atoms and evidence.n_atoms[230] == atoms - 5


def test_segment_again_is_the_same(world, tmp_path):
    """Would catch chance or threads in the result."""
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        files = segment_files(world, tmp_path / name)
        segment(**files, **SEGMENT)
        texts.append(files["windows"].read_text() + files["tree"].read_text())
    assert texts[0] == texts[1]


def test_equal_published_and_overridden_windows(world, tmp_path):
    """Would catch variants that leave frames out, and a person's windows being changed."""
    files = segment_files(world, tmp_path)
    segment(**files, **SEGMENT | {"method": "equal"})
    assert (
        list(results(files)[0].first_frame) == [0, 150] and results(files)[0].last_frame.max() == FRAMES - 1
    )
    segment(**files, **SEGMENT | {"method": "published"})
    assert len(results(files)[0]) == 1
    mine = tmp_path / "mine.tsv"
    mine.write_text("first_frame\tlast_frame\n200\t399\n0\t199\n")
    segment(**files, **SEGMENT | {"segments_override": mine, "method": "equal"})
    windows, _, tree = results(files)
    assert list(windows.first_frame) == [0, 200] and set(windows.reason) == {"set by a person"}
    assert tree["method"] == "override"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("first_frame\tlast_frame\n0\t199\n201\t399\n", "gap"),
        ("first_frame\tlast_frame\n0\t199\n199\t399\n", "overlap"),
        ("first_frame\tlast_frame\n0\t199\n200\t450\n", "0-399"),
        ("first_frame\tlast_frame\n0\t199\n399\t200\n", "ends before"),
        ("first_frame\tlast_frame\n0\t1.5\n2\t399\n", "whole numbers"),
        ("first_frame\tlast_frame\n", "no windows"),
        ("first\tlast\n0\t399\n", "first_frame"),
    ],
)
def test_a_wrong_override_is_refused_in_a_sentence(world, tmp_path, text, word):
    """Would catch a file of windows that is used although it cannot be meant so."""
    mine = tmp_path / "mine.tsv"
    mine.write_text(text)
    files = segment_files(world, tmp_path)
    with pytest.raises(InputError, match=word) as caught:
        segment(**files, **SEGMENT | {"segments_override": mine})
    assert "\n" not in str(caught.value) and str(mine) in str(caught.value)
    assert not files["windows"].exists()


def test_a_failed_average_gives_one_failed_window(world, tmp_path):
    """Would catch a crash, or boundaries drawn from a model that is none."""
    failed = json_file(tmp_path / "failed.json", {"verdict": "failed", "why": "no particle"})
    files = segment_files(world, tmp_path, lattice=failed)
    segment(**files, **SEGMENT)
    windows, evidence, tree = results(files)
    assert len(windows) == 1 and windows.last_frame[0] == FRAMES - 1
    assert tree["verdict"] == "failed" and "no particle" in tree["why"]
    assert len(evidence) == FRAMES and evidence.used.sum() == 0


def test_poses_that_disagree_make_the_windows_doubtful(world, tmp_path):
    """Would catch boundaries that are believed although half of the frames are turned by a lattice rotation."""
    rotation = world["rotation"].copy()
    for first in range(0, FRAMES, 80):
        rotation[first : first + 40] = rotation[first : first + 40] @ [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    files = segment_files(world | {"rotation": rotation}, tmp_path)
    segment(**files, **SEGMENT)
    assert results(files)[2]["verdict"] == "doubtful"


def event_files(world, folder, edges=(0, 190, FRAMES), failed=()):
    """Files of windows whose boundary is ten frames late; the models hold what most of their frames show."""
    files = world["movie"] | {
        name: [] for name in ("window_poses", "window_atoms", "profiles", "model_jsons")
    }
    names = []
    for w, (first, stop) in enumerate(zip(edges[:-1], edges[1:])):
        names.append(f"f{first:06d}-{stop - 1:06d}")
        kept = world["kept"][(world["kept"] >= first) & (world["kept"] < stop)]
        level = world["present"][first:stop].mean(0)
        verdict = {"verdict": "failed" if w in failed else "good", "why": "few views"}
        xyz = world["xyz"][(level > 0.4) & (w not in failed)]
        files["window_poses"].append(poses_file(folder / f"p{w}.csv", kept, world["rotation"][kept]))
        files["window_atoms"].append(atoms_file(folder / f"a{w}.csv", xyz))
        files["profiles"].append(json_file(folder / f"f{w}.json", facts() | verdict))
        files["model_jsons"].append(json_file(folder / f"m{w}.json", verdict))
    starts = {"window": names, "first_frame": edges[:-1], "last_frame": [stop - 1 for stop in edges[1:]]}
    pd.DataFrame(starts).to_csv(folder / "windows.tsv", sep="\t", index=False)
    outputs = {"events_csv": "events.csv", "evidence": "evidence.npz", "figure": "events.svg"}
    return files | {"windows": folder / "windows.tsv"} | {key: folder / name for key, name in outputs.items()}


def test_events_are_found_and_none_is_made_up(world, tmp_path):
    """Would catch departures, hops or absences missed, misdated, misplaced, doubled or invented."""
    files = event_files(world, tmp_path)
    events(**files, **EVENTS)
    table = pd.read_csv(files["events_csv"])
    assert list(table.columns) == list(EVENT_COLUMNS)
    left = table[(table.event == "left") & (table.manner == "step")]
    assert len(left) == 5 and (abs(left.frame - 180) <= 10).all()
    assert ((left.frame_low <= left.frame) & (left.frame <= left.frame_high)).all()
    places = left[["x_A", "y_A", "z_A"]].to_numpy() - file_origin_A(48, 0.358)
    found = np.linalg.norm(places[:, None] - world["xyz"][world["gone"]], axis=-1).min(0)
    assert found.max() < 0.05
    moved = table[table.event == "moved"]
    assert len(moved) == 1 and abs(moved.frame.iloc[0] - 300) <= 10
    target = moved[["to_x_A", "to_y_A", "to_z_A"]].to_numpy()[0] - file_origin_A(48, 0.358)
    assert np.linalg.norm(target - world["xyz"][-1]) < 0.3
    absence = table[table.manner == "absence"]
    assert list(absence.event) == ["left", "arrived"] and (abs(absence.frame - [60, 110]) <= 10).all()
    assert len(table) == 8 and (table.probability > 0.99).all()
    with np.load(files["evidence"]) as stored:
        assert stored["present"].shape == (len(stored["xyz_A"]), len(stored["frame"]))
        assert stored["present"].sum(0)[0] == len(world["xyz"]) - 1
    assert files["figure"].read_text().lstrip().startswith("<?xml")


def test_a_failed_window_is_left_out(world, tmp_path):
    """Would catch a failed window that stops the others, or lends its frames to false events."""
    files = event_files(world, tmp_path, failed=(1,))
    events(**files, **EVENTS)
    table = pd.read_csv(files["events_csv"])
    assert (table.frame < 190).all() and (table.manner == "absence").sum() == 2


def test_no_model_gives_an_empty_table_and_a_sentence(world, tmp_path):
    """Would catch a crash where every window failed."""
    files = event_files(world, tmp_path, failed=(0, 1))
    events(**files, **EVENTS)
    table = pd.read_csv(files["events_csv"])
    assert list(table.columns) == list(EVENT_COLUMNS) and len(table) == 0
    assert "no window has a model" in files["figure"].read_text()
    with np.load(files["evidence"]) as stored:
        assert stored["present"].shape == (0, 0)
