"""Several particles of one movie in one reading."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from perrin.files.errors import InputError
from perrin.files.movies import open_movie
from perrin.frames import track as stage
from perrin.frames.reading import Wanted, in_one_pass
from perrin.frames.track import track, track_together
from perrin.simulate.movie import simulate_movie

SMALL, PIXEL_A = 112, 0.358
CORNERS = ((20, 10), (330, 220))  # x, y of two fields in a large one
SPEC = {
    "n_frames": 300,
    "field_px": SMALL,
    "snr": 0.25,
    "particle": {"length": 6, "cutoff": 1},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
}
FILES = ("tracks.csv", "tracks.columns.json", "particle.mrcs", "field.png")
ROWS = [
    {"name": "still", "x_px": CORNERS[0][0] + 56, "y_px": CORNERS[0][1] + 56, "box_px": 64, "seed": 1},
    {"name": "late", "x_px": CORNERS[1][0] + 56, "y_px": CORNERS[1][1] + 56, "first_frame": 90, "seed": 2},
    {"name": "anywhere", "box_px": 64, "seed": 3, "last_frame": 199, "polarity": "dark"},
]
IMPOSSIBLE = [
    {"name": "outside", "x_px": 9000, "y_px": 5},
    {"name": "too_late", "first_frame": 280, "last_frame": 900},
    {"name": "too_large", **{key: ROWS[0][key] for key in ("x_px", "y_px")}, "box_px": 512},
    {"name": "nothing", "x_px": 420.0, "y_px": 60.0, "box_px": 64},
]
SENTENCES = {
    "outside": "outside: the start 9000, 5 lies outside of the field",
    "too_late": "too_late: frames 280 to 900 were asked for",
    "too_large": "too_large: a box of 512 px does not fit",
    "nothing": "nothing: no particle was found",
}


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    """A large field with two particles, bytes in a file: one that stays, one that moves on by 0.25 px a frame."""
    rng = np.random.default_rng(5)
    large = rng.poisson(17, (300, 360, 480)).astype(np.uint8)
    walk = {"path": [[0, 56, 56], [299, 70, 50]], "rms_px": 0.3, "pull": 0.05}
    for (x, y), motion in zip(CORNERS, ({"rms_px": 0.5, "limit_px": 8}, walk)):
        _, chunks = simulate_movie({**SPEC, "motion": motion, "seed": x})
        large[:, y : y + SMALL, x : x + SMALL] = np.concatenate(list(chunks))
    path = tmp_path_factory.mktemp("together") / "movie.npy"
    np.save(path, large)
    return path


@pytest.fixture(scope="module")
def followed(movie, tmp_path_factory):
    """Folder of three particles followed in one reading, with four that cannot be."""
    folder = tmp_path_factory.mktemp("followed") / "together"
    rows = [{"pixel_size_A": PIXEL_A, "block_frames": 100, **row} for row in [*ROWS, *IMPOSSIBLE]]
    track_together(movie=movie, together=folder, facts=rows)
    return folder


def outputs(folder):
    names = {
        "tracks": "tracks.csv",
        "particle": "particle.mrcs",
        "spectrum": "spectrum.npz",
        "field": "field.png",
    }
    return {key: folder / name for key, name in names.items()}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_each_result_is_that_of_a_run_alone(followed, movie, tmp_path, row):
    """Catches frames of another particle, of another time, or a result that depends on who else is followed."""
    facts = {key: value for key, value in row.items() if key != "name"}
    track(movie=movie, **outputs(tmp_path), name="x", pixel_size_A=PIXEL_A, block_frames=100, **facts)
    for file in FILES:
        assert (followed / row["name"] / file).read_bytes() == (tmp_path / file).read_bytes(), file
    with np.load(followed / row["name"] / "spectrum.npz") as one, np.load(tmp_path / "spectrum.npz") as other:
        assert set(one.files) == set(other.files)
        assert all(np.array_equal(one[key], other[key], equal_nan=True) for key in one.files)


@pytest.mark.parametrize("name", SENTENCES)
def test_what_cannot_be_followed_says_why_and_costs_the_others_nothing(followed, name):
    """Catches one impossible row that stops the others, and a sentence that is lost on its way."""
    assert [file.name for file in (followed / name).iterdir()] == ["refused.txt"]
    with pytest.raises(InputError, match=SENTENCES[name]):
        track(movie="unread.mrc", **outputs(followed / name), name=name, together=followed)
    assert [file.name for file in (followed / name).iterdir()] == ["refused.txt"]


def test_a_particle_is_taken_over_whole(followed, tmp_path):
    """Catches files left behind or changed on the way from the common reading to the trajectory."""
    track(movie="unread.mrc", **outputs(tmp_path), name="late", together=followed)
    assert {file.name for file in tmp_path.iterdir()} == {*FILES, "spectrum.npz"}
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (followed / "late" / file.name).read_bytes()
    assert pd.read_csv(tmp_path / "tracks.csv").frame.tolist() == list(range(90, 300))


def test_a_movie_that_is_not_there_is_said_of_every_particle(tmp_path):
    """Catches a traceback, or silence, where the movie itself cannot be opened."""
    track_together(movie=tmp_path / "none.mrc", together=tmp_path / "t", facts=[{"name": "a"}, {"name": "b"}])
    for name in "ab":
        assert "no such movie" in (tmp_path / "t" / name / "refused.txt").read_text()


def test_frames_are_read_once_for_all(movie, monkeypatch, tmp_path):
    """Catches a movie that is read again for each particle: after the first look, every frame comes once."""
    read = np.zeros(300, int)
    source = open_movie(movie)

    def counted(first, stop, window):
        read[first:stop] += 1
        return source.stored_window(first, stop, window)

    def whole(first, stop):
        read[first:stop] += 1
        return source.stored(first, stop)

    packed = replace(source, stored=whole, stored_window=counted, rows_apart=False)
    monkeypatch.setattr(stage, "open_movie", lambda path: packed)
    rows = [{"pixel_size_A": PIXEL_A, "box_px": 64, **row} for row in ROWS[:2]]
    rows = [{**row, "first_frame": 0, "block_frames": 100} for row in rows]
    track_together(movie=movie, together=tmp_path, facts=rows)
    assert (read[120:] == 1).all()


def test_two_rows_on_one_particle_are_told(movie, tmp_path, caplog):
    """Catches two trajectories that are one and pass for two."""
    rows = [{"name": name, "pixel_size_A": PIXEL_A, "box_px": 64, "last_frame": 79} for name in ("a", "b")]
    with caplog.at_level(logging.WARNING, "perrin"):
        track_together(movie=movie, together=tmp_path, facts=rows)
    assert "a and b follow the same particle" in caplog.text


def test_everyone_gets_what_he_wants_in_order_of_time():
    """Catches mixed-up replies: three who ask for different stretches and windows, one goes back, one is refused."""

    class Frames:
        shape, dtype = (200, 9, 8), np.dtype("u1")
        data = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
        calls = []

        def windows(self, first, stop, windows):
            self.calls.append((first, stop))
            return [self.data[first:stop, y0:y1, x0:x1] for y0, y1, x0, x1 in windows]

    def asks(stretches, fails=False):
        got = []
        for first, stop, window in stretches:
            part = yield Wanted(first, stop, window)
            assert np.array_equal(part, Frames.data[first:stop, window[0] : window[1], window[2] : window[3]])
            got.append(len(part))
        if fails:
            raise InputError("enough")
        return got

    one, other = (0, 4, 1, 8), (3, 9, 0, 5)
    trackers = {
        "a": (0, asks([(0, 64, one), (64, 100, one), (80, 128, one), (128, 192, one)])),
        "b": (70, asks([(70, 128, other), (128, 130, one), (130, 192, one)])),
        "c": (10, asks([(10, 64, other)], fails=True)),
    }
    ends = {name: (value, str(error)) for name, value, error in in_one_pass(Frames(), trackers)}
    assert ends["a"] == ([64, 36, 48, 64], "None")
    assert ends["b"] == ([58, 2, 62], "None")
    assert ends["c"] == (None, "enough")
