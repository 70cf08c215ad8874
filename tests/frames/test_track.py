"""The stage track from file to files."""

from pathlib import Path

import mrcfile
import numpy as np
import pandas as pd
import pytest

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack
from perrin.frames.track import track
from perrin.simulate.write import write_movie

SPEC = {
    "n_frames": 160,
    "field_px": [112, 104],
    "particle": {"length": 6, "cutoff": 1},
    "motion": {"rms_px": 0.5, "limit_px": 8},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
}
SHARED = Path(__file__).resolve().parents[2] / "../shared/data"


def outputs(folder):
    return {
        "tracks": folder / "tracks.csv",
        "particle": folder / "particle.mrcs",
        "spectrum": folder / "spectrum.npz",
        "field": folder / "field.png",
    }


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    """A tracked dark movie of which frames 20 to 139 were asked for."""
    folder = tmp_path_factory.mktemp("dark")
    truth = write_movie({**SPEC, "polarity": "dark"}, folder / "movie.mrc", folder / "truth")
    track(
        movie=folder / "movie.mrc",
        **outputs(folder),
        polarity="dark",
        first_frame=20,
        last_frame=139,
        box_px=64,
    )
    with mrcfile.open(folder / "movie.mrc") as mrc:
        return folder, truth, mrc.data.astype(np.float32)


def test_tables_and_boxes_belong_together(dark):
    """Catches rows, frames or box places that are off by one, and a polarity that is not applied."""
    folder, _, counts = dark
    table = pd.read_csv(folder / "tracks.csv")
    assert table.frame.tolist() == list(range(20, 140))
    boxes = read_stack(folder / "particle.mrcs")
    assert boxes.shape == (120, 64, 64)
    for row in (0, 57, 119):
        x, y = table.box_x_px[row] - 32, table.box_y_px[row] - 32
        assert np.array_equal(boxes[row], -counts[20 + row, y : y + 64, x : x + 64])
    assert np.abs(table.x_px - table.box_x_px).max() <= 0.5 + 1e-6
    assert set(table.verdict) == {"ok"}


def test_the_path_is_the_true_one(dark):
    """Catches a track in another frame's row or with swapped axes."""
    folder, truth, _ = dark
    table = pd.read_csv(folder / "tracks.csv")
    off = table[["x_px", "y_px"]].to_numpy() - truth.origin_px[20:140]
    assert np.sqrt(np.square(off - off.mean(0)).sum(1).mean()) < 1.3
    assert np.abs(off.mean(0)).max() < 1.5


def test_spectrum_holds_what_later_stages_read(dark):
    """Catches missing arrays, wrong shapes, a mean field with the sign applied twice."""
    folder, _, counts = dark
    with np.load(folder / "spectrum.npz") as stored:
        assert stored["mean_field"].shape == (1, 104, 112)
        assert np.abs(stored["mean_field"][0] - counts[20:140].mean(0)).mean() < 0.3
        assert stored["block_first"].tolist() == [20]
        assert stored["background_spectrum"].shape == (1, 64, 64)
        assert stored["sign"] == -1 and abs(stored["pixel_A"] - 0.358) < 1e-6
        assert abs(stored["mean_count"] - 17) < 1
        assert 7 < stored["extent_A"] < 12
    assert (folder / "field.png").read_bytes().startswith(b"\x89PNG")


def test_the_box_follows_from_the_particle(dark, tmp_path):
    """Catches a box that is not a multiple of 16, or cuts the particle."""
    folder, _, _ = dark
    track(movie=folder / "movie.mrc", **outputs(tmp_path), polarity="dark", last_frame=79)
    box = read_stack(tmp_path / "particle.mrcs").shape[1]
    with np.load(tmp_path / "spectrum.npz") as stored:
        assert box % 16 == 0
        assert 0 <= box * 0.358 - 2 * (stored["extent_A"] + 5) < 16 * 0.358


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"box_px": 112}, "box of 112 px does not fit into the field of 112 x 104 px"),
        ({"box_px": 63}, "must be even"),
        ({"first_frame": 5, "last_frame": 5}, "1 frame cannot be followed"),
        ({"last_frame": 400}, "frames 0 to 400 were asked for"),
        ({"x_px": 500, "y_px": 20}, "lies outside of the field"),
        ({"margin_A": 30.0}, "does not fit"),
        (
            {"pixel_size_A": 3.58},
            r"pixels of 3.58 A cannot show lattice planes.*correct pixel_size_A.*file says 0.358",
        ),
        ({"pixel_size_A": 0.0358}, "only 3.7 A wide .at least 20 A.; correct pixel_size_A"),
    ],
)
def test_impossible_wishes_get_one_sentence(dark, tmp_path, facts, sentence):
    """Catches tracebacks and half-written outputs."""
    folder, _, _ = dark
    with pytest.raises(InputError, match=sentence):
        track(movie=folder / "movie.mrc", **outputs(tmp_path), polarity="dark", **facts)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_field_is_refused(tmp_path):
    """Catches a structure that grows out of nothing."""
    spec = {**SPEC, "blank_frames": [{"first": 0, "last": 159, "kind": "noparticle"}]}
    write_movie(spec, tmp_path / "movie.mrc", tmp_path / "truth")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match="no particle was found"):
        track(movie=tmp_path / "movie.mrc", **outputs(out), box_px=64)
    assert list(out.iterdir()) == []


def test_frames_without_noise_are_refused(tmp_path):
    """Catches a division by zero where a movie is one picture, repeated."""
    with mrcfile.new(tmp_path / "still.mrc") as file:
        file.set_data(np.repeat(np.random.default_rng(1).poisson(17, (1, 96, 96)).astype(np.float32), 60, 0))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match="one and the same picture"):
        track(movie=tmp_path / "still.mrc", **outputs(out), pixel_size_A=0.358)
    assert list(out.iterdir()) == []


def test_a_passing_particle_is_told(tmp_path):
    """Catches a silent switch: frames in which another particle touches this one must not be called ok."""
    spec = {
        **SPEC,
        "n_frames": 200,
        "field_px": 144,
        "others": [
            {
                "particle": {"length": 6, "cutoff": 1},
                "motion": {"path": [[0, 10, 130], [80, 110, 90], [199, 140, -60]], "rms_px": 0.2},
            }
        ],
    }
    truth = write_movie(spec, tmp_path / "movie.mrc", tmp_path / "truth")
    track(movie=tmp_path / "movie.mrc", **outputs(tmp_path), box_px=64, x_px=72, y_px=72)
    table = pd.read_csv(tmp_path / "tracks.csv")
    other = np.array(
        [np.interp(np.arange(200), [0, 80, 199], knots) for knots in ([10, 110, 140], [130, 90, -60])]
    )
    apart = np.hypot(*(other - truth.origin_px.T))
    assert (table.verdict[apart < 42] != "ok").mean() > 0.9
    off = np.linalg.norm(table[["x_px", "y_px"]].to_numpy() - truth.origin_px, axis=1)
    assert (off[(table.verdict == "ok").to_numpy()] < 5).all()


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_a_multislice_movie_is_followed(tmp_path):
    """Catches a tracker tuned to its own simulator: the confined particle, first 400 frames, 1.2 px."""
    source = SHARED / "pt201_cone"
    track(movie=source / "movie.mrc", **outputs(tmp_path), last_frame=399)
    table = pd.read_csv(tmp_path / "tracks.csv")
    truth = pd.read_csv(source / "truth/frames.csv")[:400]
    off = table[["x_px", "y_px"]].to_numpy() - truth[["x_px", "y_px"]].to_numpy()
    assert np.sqrt(np.square(off - off.mean(0)).sum(1).mean()) < 1.2
