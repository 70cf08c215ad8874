"""The stages in three dimensions on small movies in files: what is planted comes back, and failure goes through."""

import json
from pathlib import Path

import gemmi
import mrcfile
import numpy as np
import pytest
import starfile
from scipy.spatial.transform import Rotation

from perrin.files.accepted import images_of, read_accepted
from perrin.files.atomic import write_json
from perrin.files.errors import InputError
from perrin.files.models import file_origin_A, write_atoms
from perrin.files.poses import read_poses, write_poses
from perrin.files.records import Poses
from perrin.files.stacks import write_stack
from perrin.files.tables import read_table, write_table
from perrin.imaging.lattice import sites
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import angles_between, matrices, quaternions
from perrin.rounds.average3d import average3d
from perrin.rounds.coupled import plain_atoms
from perrin.rounds.injected import mutual_pairs, rigid_fit
from perrin.rounds.model import model
from perrin.rounds.volume import profile_facts
from perrin.rounds.window3d import window3d
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, N, A_A, FRAMES = 0.358, 64, 3.92, 260
MAPS = {"half_mode": "blocks", "reconstruction": "nufft", "ridge": 0.2}
WINDOW = MAPS | {
    "method": "continuity", "match_frames": "clean", "continuity_frames": "clean", "n_rounds": 4, "iterations": 2,
    "regularise": "none",
}  # fmt: skip


def named(folder, **names):
    return {key: str(folder / name) for key, name in names.items()}


def track_files(folder, images):
    """clean.mrcs, tracks.csv, frames.csv; every 50th frame is not accepted."""
    write_stack(folder / "clean.mrcs", images, PIXEL)
    frame = np.arange(len(images)) + 10
    middle = np.full(len(images), 100)
    columns = {
        name: ("px" if name.endswith("px") else "", name) for name in ("x_px", "y_px", "box_x_px", "box_y_px")
    }
    columns |= {"frame": ("", "frame"), "accepted": ("", "accepted")}
    track = {
        "frame": frame,
        "x_px": middle + 0.2,
        "y_px": middle - 0.1,
        "box_x_px": middle,
        "box_y_px": middle,
    }
    write_table(folder / "tracks.csv", track, {name: columns[name] for name in track})
    judged = {"frame": frame, "accepted": (frame % 50 != 0).astype(int)}
    write_table(folder / "frames.csv", judged, {name: columns[name] for name in judged})
    return frame


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """A window of a strained particle without symmetry, refined from poses 1.5 degrees off; and its truth."""
    folder = tmp_path_factory.mktemp("window")
    rng = np.random.default_rng(8)
    lattice = sites("fcc", A_A, 7.0)
    lattice = lattice[(lattice @ [0.6, 0.64, 0.48] < 5.0) & (lattice @ [-0.8, 0.36, 0.48] < 4.2)]
    truth = lattice * 1.004 + rng.normal(0, 0.06, lattice.shape)
    now, rotation = Rotation.random(rng=rng), []
    for step in rng.standard_normal((FRAMES, 3)) * np.radians(4.0) / np.sqrt(3):
        now = Rotation.from_rotvec(step) * now
        rotation.append(now.as_matrix())
    rotation = np.array(rotation)
    shift = rng.normal(0, 0.2, (FRAMES, 2))
    images = simulate_boxes(truth, quaternions(rotation), shift, N, PIXEL, 1.6, PLAIN, seed=4)
    frame = track_files(folder, images)
    kept = frame % 50 != 0
    off = Rotation.from_rotvec(rng.standard_normal((FRAMES, 3)) * np.radians(1.0)).as_matrix() @ rotation
    start = Poses(
        frame[kept], quaternions(off[kept]), shift[kept] + rng.normal(0, 0.15, (kept.sum(), 2)),
        np.full(kept.sum(), 1.6), np.ones(kept.sum()),
    )  # fmt: skip
    write_poses(folder / "average.csv", start)
    write_atoms(folder / "sites.csv", plain_atoms(lattice, "Pt"), N, PIXEL)
    facts = {
        "a_A": A_A, "radius_A": 6.4, "step_deg": 4.0, "verdict": "good", "why": "planted",
        "profile": profile_facts(Profile.gaussian(0.45, 0.2)),
    }  # fmt: skip
    write_json(folder / "lattice.json", facts)
    given = named(folder, clean="clean.mrcs", frames="frames.csv", tracks="tracks.csv")
    outputs = {name: f"{name}.mrc" for name in ("map", "half1", "half2")}
    outputs |= {name: f"{name}.csv" for name in ("fsc", "rounds", "draft")}
    outputs |= {
        "poses": "poses.star",
        "poses_csv": "poses.csv",
        "coverage": "coverage.json",
        "profile": "profile.json",
    }
    window3d(
        **given, **named(folder, denoised="clean.mrcs", average_poses="average.csv"),
        **named(folder, sites="sites.csv", lattice="lattice.json", **outputs),
        element="Pt", first_frame=10, last_frame=10 + FRAMES - 1, seed=1, **WINDOW,
    )  # fmt: skip
    outputs = {"atoms": "atoms.csv", "cif": "atoms.cif", "pdb": "atoms.pdb", "xyz": "atoms.xyz"}
    outputs |= {"density": "density.mrc", "profile_csv": "profile.csv", "model_json": "model.json"}
    model(
        **given, **named(folder, window_poses="poses.csv", draft="draft.csv", profile="profile.json"),
        **named(folder, coverage="coverage.json", window_map="map.mrc", **outputs),
        element="Pt", first_frame=10, last_frame=10 + FRAMES - 1, seed=1, n_rounds=4, injected=True,
        injected_frames=150, polarity="bright",
    )  # fmt: skip
    return folder, truth, rotation[kept], frame[kept]


def found_atoms(folder):
    table = read_table(folder / "atoms.csv")
    return table, table[["x_A", "y_A", "z_A"]].to_numpy(float) - file_origin_A(N, PIXEL)


def test_all_atoms_come_back_within_their_errors(solved):
    """Would catch lost or invented atoms, coordinates off by the origin, and error bars of the wrong size."""
    folder, truth, _, _ = solved
    table, xyz = found_atoms(folder)
    pairs = mutual_pairs(truth, xyz, 1.0)
    assert len(pairs) == len(truth) == len(xyz)
    error = rigid_fit(xyz[pairs[:, 1]], truth[pairs[:, 0]]) - truth[pairs[:, 0]]
    sigma = table[["sigma_x_A", "sigma_y_A", "sigma_z_A"]].to_numpy(float)[pairs[:, 1]]
    spread = np.sqrt(np.mean(np.square(error / sigma)))
    assert 0.7 < spread < 1.4
    assert np.all(table["probability"] > 0.99)


def test_poses_are_better_than_they_came(solved):
    """Would catch poses of other frames than the rows say, or a refinement that does nothing."""
    folder, _, rotation, frame = solved
    poses = read_poses(folder / "poses.csv")
    np.testing.assert_array_equal(poses.frame, frame)
    relative = np.einsum(
        "fij,fkj->fik", np.swapaxes(rotation, 1, 2), np.swapaxes(matrices(poses.quaternion), 1, 2)
    )
    common = Rotation.from_matrix(relative).mean().as_matrix()
    error = np.degrees(angles_between(relative, np.broadcast_to(common, relative.shape)))
    assert np.median(error) < 1.0  # 1.5 as it came
    # the length of three normal errors has the median 1.538 sigma
    assert 0.7 < np.median(error / poses.sigma_deg) / 1.538 < 1.5


def test_files_open_elsewhere_and_overlay(solved):
    """Would catch a model beside its map, a STAR file that others cannot read, a map without voxel size."""
    folder, _, _, frame = solved
    table, xyz = found_atoms(folder)
    document = starfile.read(folder / "poses.star")
    assert len(document["particles"]) == len(frame)
    assert list(document["particles"]["rlnImageName"])[0].startswith(f"{frame[0] - 10 + 1:06d}@")
    structure = gemmi.read_structure(str(folder / "atoms.cif"))
    places = np.array([atom.atom.pos.tolist() for atom in structure[0].all()])
    np.testing.assert_allclose(places, xyz + file_origin_A(N, PIXEL), atol=1e-3)
    with mrcfile.open(folder / "map.mrc") as measured, mrcfile.open(folder / "density.mrc") as simulated:
        assert measured.voxel_size.x == pytest.approx(PIXEL)
        agreement = {
            step: np.corrcoef(measured.data.ravel(), np.roll(simulated.data, step, (0, 1, 2)).ravel())[0, 1]
            for step in [(0, 0, 0), *map(tuple, np.r_[np.eye(3, dtype=int), -np.eye(3, dtype=int)])]
        }
    assert max(agreement, key=agreement.get) == (0, 0, 0)


def test_the_model_says_what_it_was_tested_on(solved):
    """Would catch a verdict without checks, or checks of nothing."""
    folder, truth, _, _ = solved
    facts = json.loads((folder / "model.json").read_text())
    assert facts["n_atoms"] == len(truth)
    assert {"occupancy_sd", "halves_rmsd", "injected_recall", "coverage"} <= {
        c["name"] for c in facts["checks"]
    }
    assert facts["injected"]["recall"] > 0.95 and facts["injected"]["precision"] > 0.95
    assert facts["halves"]["rmsd_A"] < 3 * facts["halves"]["predicted_A"]
    rounds = read_table(folder / "rounds.csv")
    assert len(rounds) == rounds["round"].max() >= 1


def test_an_empty_field_fails_in_words_through_all_stages(tmp_path):
    """Would catch atoms made of noise, or a crash where there is nothing to refine."""
    noise = np.random.default_rng(9).standard_normal((60, 48, 48)).astype(np.float32)
    track_files(tmp_path, noise)
    write_json(tmp_path / "particle.json", {"diameter_A": 12.0, "extent_A": 13.0})
    given = named(tmp_path, clean="clean.mrcs", frames="frames.csv", tracks="tracks.csv")
    outputs = {name: f"{name}.mrc" for name in ("map", "half1", "half2")}
    outputs |= {"poses": "average.star", "poses_csv": "average.csv", "correlation": "correlation.csv"}
    outputs |= {"coverage": "coverage.json", "sites": "sites.csv", "lattice": "lattice.json"}
    average3d(
        **given, **named(tmp_path, denoised="clean.mrcs", particle_json="particle.json", **outputs),
        element="Pt", frame_rate_hz=400, seed=1, method="continuity", match_frames="clean", continuity_frames="clean",
        rounds=1, iterations=1, window_frames=40, polarity="bright", hand="depth",
        start_model=None, views="continuous", **MAPS,
    )  # fmt: skip
    facts = json.loads((tmp_path / "lattice.json").read_text())
    assert facts["verdict"] == "failed" and "nats" in facts["why"]
    assert len(read_table(tmp_path / "sites.csv")) == 0
    outputs = {name: f"{name}.mrc" for name in ("map", "half1", "half2")}
    outputs |= {name: f"{name}.csv" for name in ("fsc", "rounds", "draft")}
    outputs |= {
        "poses": "poses.star",
        "poses_csv": "poses.csv",
        "coverage": "coverage.json",
        "profile": "profile.json",
    }
    window3d(
        **given, **named(tmp_path, denoised="clean.mrcs", average_poses="average.csv"),
        **named(tmp_path, sites="sites.csv", lattice="lattice.json", **outputs),
        element="Pt", first_frame=10, last_frame=69, seed=1, **WINDOW,
    )  # fmt: skip
    outputs = {"atoms": "atoms.csv", "cif": "atoms.cif", "pdb": "atoms.pdb", "xyz": "atoms.xyz"}
    outputs |= {"density": "density.mrc", "profile_csv": "profile.csv", "model_json": "model.json"}
    model(
        **given, **named(tmp_path, window_poses="poses.csv", draft="draft.csv", profile="profile.json"),
        **named(tmp_path, coverage="coverage.json", window_map="map.mrc", **outputs),
        element="Pt", first_frame=10, last_frame=69, seed=1, n_rounds=4, injected=True,
        injected_frames=150, polarity="bright",
    )  # fmt: skip
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["verdict"] == "failed" and facts["n_atoms"] == 0 and "whole trajectory" in facts["why"]
    assert all(Path(path).exists() for path in named(tmp_path, **outputs).values())


class Seen(Exception):
    """Raised with the frames that a method was given."""


@pytest.mark.parametrize("stage", ["average3d", "window3d"])
@pytest.mark.parametrize("use", ["clean", "denoised"])
def test_continuity_takes_the_frames_that_it_is_told_to(solved, tmp_path, monkeypatch, stage, use):
    """Would catch a stack that is read but not used, and images that are not those of the accepted frames."""
    folder, _, _, frame = solved
    rows = np.arange(FRAMES, dtype=np.float32)[:, None, None]
    write_stack(tmp_path / "denoised.mrcs", np.broadcast_to(rows, (FRAMES, N, N)), PIXEL)
    write_json(folder / "particle.json", {"diameter_A": 12.0, "extent_A": 13.0})

    def stop(data, *_, **__):
        raise Seen(data)

    monkeypatch.setattr(f"perrin.rounds.{stage}.{stage[:-2]}_by_continuity", stop)
    given = named(folder, clean="clean.mrcs", frames="frames.csv", tracks="tracks.csv")
    given |= named(tmp_path, denoised="denoised.mrcs")
    unused = dict.fromkeys(("poses", "poses_csv", "map", "half1", "half2", "coverage"), "unused")
    with pytest.raises(Seen) as caught:
        if stage == "average3d":
            average3d(
                **given, **unused, particle_json=str(folder / "particle.json"), correlation="unused", sites="unused",
                lattice="unused", element="Pt", frame_rate_hz=400, seed=1, method="continuity",
                match_frames="clean", continuity_frames=use, rounds=1, iterations=1, window_frames=40,
                polarity="bright", hand="as_found", start_model=None, views="continuous", **MAPS,
            )  # fmt: skip
        else:
            window3d(
                **given, **unused, **dict.fromkeys(["fsc", "rounds", "draft", "profile"], "unused"),
                **named(folder, average_poses="average.csv", sites="sites.csv", lattice="lattice.json"),
                element="Pt", first_frame=10, last_frame=10 + FRAMES - 1, seed=1,
                **WINDOW | {"continuity_frames": use},
            )  # fmt: skip
    data = caught.value.args[0]
    np.testing.assert_array_equal(data.number, frame)
    if use == "denoised":
        np.testing.assert_array_equal(data.images[:, 5, 7], frame - 10)
    else:
        assert abs(float(data.images.std()) - 1) < 0.3


def test_poses_and_atoms_come_from_denoised_frames(solved, tmp_path):
    """Clean frames without a particle, denoised ones with it: the draft is the particle, maps are of clean frames."""
    folder, truth, _, _ = solved
    noise = np.random.default_rng(3).standard_normal((FRAMES, N, N)).astype(np.float32)
    write_stack(tmp_path / "noise.mrcs", noise, PIXEL)
    outputs = {name: f"{name}.mrc" for name in ("map", "half1", "half2")}
    outputs |= {name: f"{name}.csv" for name in ("fsc", "rounds", "draft", "poses_csv")}
    outputs |= {"poses": "poses.star", "coverage": "coverage.json", "profile": "profile.json"}
    window3d(
        clean=str(tmp_path / "noise.mrcs"),
        **named(folder, denoised="clean.mrcs", frames="frames.csv", tracks="tracks.csv"),
        **named(folder, average_poses="average.csv", sites="sites.csv", lattice="lattice.json"),
        **named(tmp_path, **outputs), element="Pt", first_frame=10, last_frame=10 + FRAMES - 1, seed=1,
        **WINDOW | {"continuity_frames": "denoised", "n_rounds": 1},
    )  # fmt: skip
    table = read_table(tmp_path / "draft.csv")
    xyz = table[["x_A", "y_A", "z_A"]].to_numpy(float) - file_origin_A(N, PIXEL)
    assert len(mutual_pairs(truth, xyz, 0.5)) > 0.9 * len(truth)
    with mrcfile.open(tmp_path / "map.mrc") as empty, mrcfile.open(folder / "map.mrc") as full:
        assert abs(np.corrcoef(empty.data.ravel(), full.data.ravel())[0, 1]) < 0.2


def test_a_denoised_stack_of_other_frames_is_refused(solved, tmp_path):
    """Would catch frames of an older run taken for those of this one."""
    folder, *_ = solved
    write_stack(tmp_path / "short.mrcs", np.zeros((30, N, N), np.float32), PIXEL)
    data = read_accepted(*(str(folder / name) for name in ("clean.mrcs", "frames.csv", "tracks.csv")))
    with pytest.raises(InputError, match="30 images"):
        images_of(str(tmp_path / "short.mrcs"), data)
