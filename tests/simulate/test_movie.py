import json
import runpy
import subprocess
import sys
from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest
import yaml

from perrin.imaging.rotations import matrices
from perrin.simulate import movie as movie_module
from perrin.simulate.background import GRAPHENE_A, graphene
from perrin.simulate.demo import make_demo
from perrin.simulate.movie import simulate_movie
from perrin.simulate.write import write_movie

ROOT = Path(__file__).resolve().parents[2]
SCORE = ROOT / "../shared/tools/score.py"

SMALL = {
    "n_frames": 60,
    "field_px": [100, 90],
    "particle": {"length": 5, "cutoff": 1, "lose": [{"frame": 40, "n_atoms": 6}]},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
}


def movie(spec):
    truth, chunks = simulate_movie(spec)
    return truth, np.concatenate(list(chunks))


def test_atoms_are_where_the_truth_says():
    """Catches truth that does not belong to the frames: counts at the projected atoms, bright and dark."""
    for polarity, sign in (("bright", 1), ("dark", -1)):
        truth, counts = movie({**SMALL, "polarity": polarity})
        field = counts.astype(float) - counts.mean(0)
        at_atoms, turned = [], []
        for frame, image in enumerate(field):
            xyz = truth.states[truth.state[frame] - 1][2]
            for values, rotation in (
                (at_atoms, matrices(truth.quaternion[frame])),
                (turned, matrices(truth.quaternion[frame]).T),
            ):
                place = (xyz @ rotation.T)[:, :2] / 0.358 + truth.origin_px[frame]
                column, row = np.rint(place).astype(int).T
                values.append(image[row, column].mean())
        assert sign * np.mean(at_atoms) > 1.0
        assert abs(np.mean(turned)) < 0.4


def test_dose_snr_and_event_are_as_ordered():
    """Catches a contrast that misses the ordered power SNR, a wrong dose, an event at the wrong frame."""
    truth, counts = movie({**SMALL, "snr": 0.3})
    assert abs(counts.mean() - 17) < 0.2
    assert abs(truth.snr.mean() - 0.3) < 0.03
    assert (np.diff(truth.state).nonzero()[0] == 39).all() and truth.state[-1] == 2


def test_frames_do_not_depend_on_the_chunks(monkeypatch):
    """Catches random numbers that run on from chunk to chunk."""
    _, whole = movie(SMALL)
    monkeypatch.setattr(movie_module, "CHUNK_BYTES", 8 * 100 * 90 * 7)
    _, parts = movie(SMALL)
    assert np.array_equal(whole, parts)
    _, other = movie({**SMALL, "seed": 1})
    assert not np.array_equal(whole, other)


def test_blank_frames_second_particle_and_border_are_flagged():
    """Catches disturbances that the truth does not tell of."""
    spec = {
        **SMALL,
        "blank_frames": [
            {"first": 5, "last": 6, "kind": "zero"},
            {"first": 9, "last": 9, "kind": "noparticle"},
        ],
        "motion": {"path": [[0, 50, 45], [30, 50, 45], [59, 115, 45]], "rms_px": 0.0},
        "others": [{"particle": {"length": 4, "cutoff": 1}, "motion": {"start_px": [20, 20]}}],
    }
    truth, counts = movie(spec)
    assert set(truth.flag[[5, 6, 9]]) == {"blank"} and truth.flag[0] == "ok"
    assert "edge" in truth.flag and truth.flag[-1] == "outside"
    assert not counts[5].any() and counts[9].any()
    assert truth.snr[9] == 0


def test_graphene_has_its_two_spots():
    """Catches a wrong lattice constant or orientation: the spectrum peaks at 2.131 A, at the given angle."""
    image = graphene((256, 256), 0.358, [{"angle_deg": 20.0}])
    power = np.abs(np.fft.fftshift(np.fft.fft2(image * np.hanning(256)[:, None] * np.hanning(256)))) ** 2
    row, column = np.unravel_index(power.argmax(), power.shape)
    frequency = np.array([column - 128, row - 128]) / (256 * 0.358)
    assert abs(np.linalg.norm(frequency) - 2 / (np.sqrt(3) * GRAPHENE_A)) < 0.006
    angle = np.rad2deg(np.arctan2(frequency[1], frequency[0])) % 60
    assert abs(angle - 20) < 1.0


def test_unknown_key_is_refused():
    """Catches misspelt keys that would silently fall back to a default."""
    with pytest.raises(ValueError, match="n_frame"):
        simulate_movie({"n_frame": 10})


def test_the_shadow_darkens_the_particle():
    """Catches a shadow of the wrong sign or depth."""
    spec = {
        "n_frames": 40,
        "field_px": 100,
        "particle": {"length": 5, "cutoff": 1},
        "motion": {"rms_px": 0.0},
    }
    _, plain = movie(spec)
    _, shaded = movie({**spec, "shadow_pct": 10})
    middle = (slice(None), slice(45, 55), slice(45, 55))
    loss = 1 - shaded[middle].mean() / plain[middle].mean()
    assert 0.06 < loss < 0.11


def test_files_hold_movie_and_truth(tmp_path):
    """Catches files that other programs cannot read, and lives that disagree with the states."""
    write_movie(SMALL, tmp_path / "movie.mrc", tmp_path / "truth")
    assert mrcfile.validate(tmp_path / "movie.mrc")
    with mrcfile.open(tmp_path / "movie.mrc") as mrc:
        assert mrc.data.shape == (60, 90, 100) and mrc.data.dtype == np.int8
        assert abs(float(mrc.voxel_size.x) - 0.358) < 1e-6
    lives = pd.read_csv(tmp_path / "truth/lives.csv")
    gone = lives[lives.last_state == 1]
    assert len(gone) == 6 and (gone.last_frame == 39).all()
    assert (lives[lives.last_state == 2].last_frame == 59).all()
    meta = yaml.safe_load((tmp_path / "truth/meta.yaml").read_text())
    assert [state["atoms"] for state in meta["states"]] == [len(lives), len(lives) - 6]


def test_demo_is_what_it_promises(tmp_path):
    """Catches a demo outside its limits: 150-200 atoms, one event at mid-movie, 2-3 degrees a frame."""
    truth = make_demo(tmp_path / "demo.mrc", tmp_path / "truth/frames.csv", state_frames=30)
    first, second = (len(ident) for _, ident, _ in truth.states)
    assert 150 <= second < first <= 200 and first - second == 20
    assert truth.states[1][0] == 30
    assert (truth.flag == "ok").all()
    assert (tmp_path / "truth/atoms_state2.csv").exists()


@pytest.mark.skipif(not SCORE.exists(), reason="needs ../shared/tools/score.py")
def test_the_scoring_program_accepts_the_truth(tmp_path):
    """Catches truth files that score.py misreads: the truth itself must score perfectly."""
    write_movie(SMALL, tmp_path / "movie.mrc", tmp_path / "truth")
    run = [sys.executable, str(SCORE)]
    answer = subprocess.run(
        [*run, "tracks", str(tmp_path / "truth"), str(tmp_path / "truth/frames.csv"), "--json"],
        capture_output=True,
        check=True,
    )
    assert json.loads(answer.stdout)["rmse_px"] < 1e-6
    answer = subprocess.run(
        [*run, "poses", str(tmp_path / "truth"), str(tmp_path / "truth/frames.csv"), "--json"],
        capture_output=True,
        check=True,
    )
    assert json.loads(answer.stdout)["consistent"]["share_within"] == 1.0


def test_the_command_writes_movie_truth_and_sheet(tmp_path, monkeypatch):
    """Catches a command that does not run, and a sample sheet that does not name its movie."""
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump({**SMALL, "name": "one", "polarity": "dark"}))
    monkeypatch.setattr(sys, "argv", ["simulate", str(tmp_path / "spec.yaml"), str(tmp_path / "out")])
    runpy.run_module("perrin.simulate", run_name="__main__")
    sheet = pd.read_csv(tmp_path / "out/metadata.tsv", sep="\t")
    assert sheet.loc[0, ["name", "movie", "polarity"]].tolist() == ["one", "movie.mrc", "dark"]
    assert (tmp_path / "out/movie.mrc").exists() and (tmp_path / "out/truth/frames.csv").exists()
