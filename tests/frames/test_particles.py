"""All particles of a field, found or given, and the sample sheet made of them."""

from pathlib import Path

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.frames.field_picture import coarser, quadratic_smoother
from perrin.frames.particles import METHODS, find_particles, main, survey
from perrin.settings import read_schema, read_sheet
from perrin.simulate.movie import simulate_movie
from perrin.simulate.write import write_movie

PLACES = np.array([[90, 100], [280, 80], [200, 205]])
STILL = {"rms_px": 0.4, "pull": 0}
SPEC = {
    "n_frames": 40,
    "field_px": [360, 270],
    "particle": {"length": 6, "cutoff": 1},
    "motion": {"start_px": PLACES[0], **STILL},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
    "shadow_pct": 12.0,
    "others": [
        {"particle": {"length": length, "cutoff": 1}, "motion": {"start_px": place, **STILL}}
        for length, place in ((7, PLACES[1]), (5, PLACES[2]))
    ],
}
SCHEMA = Path(__file__).resolve().parents[2] / "config/schemas/trajectories.schema.yaml"
FACTS = {"element": "Pt", "polarity": "bright", "frame_rate_hz": 400.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    write_movie(SPEC, folder / "movie.mrc", folder / "truth")
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_every_particle_is_found_once(folder, method):
    """Catches particles missed, counted twice, or places off by more than the search can be."""
    counts = np.concatenate(list(simulate_movie(SPEC)[1])).astype(np.float32)
    place, radius_A, _ = find_particles(counts, 0.358, method)
    apart = np.linalg.norm(place[:, None] - PLACES, axis=2)
    assert len(place) == 3
    assert sorted(apart.argmin(1)) == [0, 1, 2]
    assert apart.min(1).max() < (6 if method == "lattice" else 14)
    assert ((radius_A > 4) & (radius_A < 14)).all()


def test_an_empty_field_holds_none():
    """Catches particles made of noise, graphene and liquid."""
    blank = [{"first": 0, "last": 39, "kind": "noparticle"}]
    counts = np.concatenate(list(simulate_movie({**SPEC, "blank_frames": blank})[1])).astype(np.float32)
    assert len(find_particles(counts, 0.358)[0]) == 0


def test_the_sheet_is_one_that_the_pipeline_reads(folder, capsys):
    """Catches names that clash, places or paths that the sample sheet's reader refuses, a missing picture."""
    main([str(folder / "movie.mrc"), str(folder / "sheet.tsv")])
    assert "3 particles" in capsys.readouterr().out
    rows = read_sheet(folder / "sheet.tsv", read_schema(SCHEMA))
    assert [row["name"] for row in rows] == ["movie_1", "movie_2", "movie_3"]
    assert {Path(row["movie"]).resolve() for row in rows} == {(folder / "movie.mrc").resolve()}
    found = np.array([[row["x_px"], row["y_px"]] for row in rows])
    assert np.linalg.norm(found[:, None] - PLACES, axis=2).min(1).max() < 6
    assert (folder / "sheet.png").stat().st_size > 1000


def test_given_places_are_taken_as_they_are(folder):
    """Catches EMAN corners taken for centres, and a box that is forgotten."""
    box = folder / "picked.box"
    box.write_text("58\t68\t64\t64\t-3\n232\t32\t96\t96\n")
    files = {"sheet": folder / "given.tsv", "picture": folder / "given.png"}
    assert survey(movie=folder / "movie.mrc", positions=box, **files, **FACTS) == 2
    rows = read_sheet(folder / "given.tsv", read_schema(SCHEMA))
    assert [(row["x_px"], row["y_px"], row["box_px"]) for row in rows] == [(90, 100, 64), (280, 80, 96)]
    box.write_text("500 10 64 64\n")
    with pytest.raises(InputError, match="532, 42 lies outside of the field of 360 x 270 px"):
        survey(movie=folder / "movie.mrc", positions=box, **files, **FACTS)


@pytest.mark.parametrize(("period_A", "strength", "gain"), [(10, 10, 0.66), (5, 10, 0.33), (3, 1.5, 0.54)])
def test_the_quadratic_smoother_has_the_programs_transfer(period_A, strength, gain):
    """Catches a wrong penalty: gains on an axis at 0.358 A a pixel, worked out from the program's source."""
    n = 1000
    cycles = round(n * 0.358 / period_A)
    wave = np.cos(2 * np.pi * cycles * np.arange(n) / n)[None] * np.ones((8, 1))
    assert np.allclose(quadratic_smoother(wave, strength), gain * wave, atol=0.012)
    assert np.allclose(quadratic_smoother(np.full((6, 7), 3.0), strength), 3.0)


def test_a_camera_field_is_drawn_coarser():
    """Catches a picture that moves against the axes: each pixel is the mean of a square that begins at the corner."""
    image = np.arange(1728 * 1920, dtype=float).reshape(1728, 1920)
    small, step = coarser(image)
    assert step == 2 and small.shape == (864, 960)
    assert small[3, 5] == image[6:8, 10:12].mean()
    assert coarser(image[:300, :400])[1] == 1
