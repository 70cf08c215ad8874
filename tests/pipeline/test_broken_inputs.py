"""Impossible inputs and the real stages: one sentence each, exit code 1, nothing half-written, the others go on.

docs/results-running.md shows the sentences; a test holds the page to what is said here.
"""

import os
import re
import subprocess
import sys

import mrcfile
import numpy as np
import pytest
from runs import PROJECT

from perrin.simulate.write import write_movie

HEADER = ["name", "movie", "pixel_size_A", "frame_rate_hz", "element", "polarity", "box_px"]
SPEC = {
    "n_frames": 60,
    "field_px": [112, 104],
    "particle": {"length": 6, "cutoff": 1},
    "motion": {"rms_px": 0.5, "limit_px": 8},
    "background": {"graphene": [{"angle_deg": 7.0}], "liquid": {}},
}
# trajectory: what its one sentence must say
SAID = {
    "missing": "no such movie",
    "truncated": r"truncated: the header promises 60 sections .* room for 41; copy it again",
    "empty": r"the file is empty \(0 bytes\); copy it again",
    "text": "not an MRC file: it is text that starts with 'not a movie",
    "single": "holds one frame .* a movie needs at least two",
    "nan": r"frame 33 has 7 pixels that are not a number .* write the movie again without them",
    "nopixel": "neither the movie nor the sample sheet says the pixel size; fill in the column pixel_size_A",
    "large": r"a box of 128 px does not fit into the field of 112 x 104 px; give a box_px of at most 96",
    "coarse": "pixels of 3.58 A cannot show lattice planes",
    "fine": "pixels of 0.0358 A make the field of 112 x 104 px only 3.7 A wide",
    "nothing": "no particle was found",
}


def snakemake(folder, *arguments):
    """Exit code and text of the project's own Snakefile at work in a folder."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", PROJECT / "Snakefile", "--cores", "2"]
    command += ["--directory", folder, *arguments]
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def sheet(folder, *rows):
    """Write sheet.tsv; a row is (name, movie) and whatever differs from a good row."""
    usual = {
        "pixel_size_A": "0.358",
        "frame_rate_hz": "400",
        "element": "Pt",
        "polarity": "bright",
        "box_px": "64",
    }
    lines = ["\t".join(HEADER)]
    for name, movie, *others in rows:
        row = {"name": name, "movie": movie, **usual, **(others[0] if others else {})}
        lines.append("\t".join(row[column] for column in HEADER))
    (folder / "sheet.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """A folder of one good movie and what can be wrong with it."""
    folder = tmp_path_factory.mktemp("broken")
    write_movie(SPEC, folder / "good.mrc", folder / "truth")
    whole = (folder / "good.mrc").read_bytes()
    with mrcfile.open(folder / "good.mrc") as file:
        counts = file.data.astype(np.float32)
    (folder / "truncated.mrc").write_bytes(whole[: len(whole) - len(whole[1024:]) // 60 * 18 - 100])
    (folder / "empty.mrc").write_bytes(b"")
    (folder / "text.mrc").write_text("not a movie but the notes of a night at the microscope\n" * 40)
    spoilt = counts.copy()
    spoilt[33, 5, 10:17] = np.nan
    for name, data, pixel in (
        ("single", counts[:1], 0.358),
        ("nan", spoilt, 0.358),
        ("nopixel", counts, 0.0),
        ("nothing", np.random.default_rng(1).poisson(17, counts.shape).astype(np.float32), 0.358),
    ):
        with mrcfile.new(folder / f"{name}.mrc") as file:
            file.set_data(data)
            file.voxel_size = pixel
    for name in ("large", "coarse", "fine"):
        (folder / f"{name}.mrc").write_bytes(whole)
    others = {"nopixel": {"pixel_size_A": ""}, "large": {"box_px": "128"}, "coarse": {"pixel_size_A": "3.58"},
              "fine": {"pixel_size_A": "0.0358"}}  # fmt: skip
    rows = [(name, f"{name}.mrc", others.get(name, {})) for name in SAID]
    return sheet(folder, *rows, ("good", "good.mrc"))


@pytest.fixture(scope="module")
def ended(movies):
    """All of them in one run that keeps going."""
    targets = [f"results/{name}/track/tracks.csv" for name in [*SAID, "good"]]
    return movies, *snakemake(movies, "--keep-going", "--config", "trajectories=sheet.tsv", "--", *targets)


@pytest.mark.parametrize("name", SAID)
def test_one_sentence_and_nothing_half_written(ended, name):
    """Would catch a traceback, a sentence without the file or the way out, and outputs of a stage that failed."""
    folder, code, text = ended
    assert code == 1
    said = re.findall(rf"^error: track {name}: (.*)$", text, re.M)
    assert len(said) >= 1 and len(set(said)) == 1, text
    assert re.search(SAID[name], said[0])
    assert name in said[0], "which movie?"
    assert not list((folder / "results" / name).glob("track/*"))
    assert said[0] in (folder / "logs" / name / "track.log").read_text()


def test_no_traceback(ended):
    """Would catch an error that reached Python's own handler."""
    assert "Traceback (most recent call last)" not in ended[2]


def test_the_good_one_is_finished(ended):
    """Would catch a broken movie that costs another trajectory its results."""
    track = ended[0] / "results/good/track"
    assert len((track / "tracks.csv").read_text().splitlines()) == 61
    assert {path.name for path in track.iterdir()} >= {
        "tracks.csv",
        "particle.mrcs",
        "spectrum.npz",
        "field.png",
    }
    assert (track / "track.provenance.json").exists()


SLIPS = {
    "element": (
        [("np1", "good.mrc", {"element": "Xx"})],
        "sheet.tsv, line 2: element 'Xx' is not among those known",
    ),
    "polarity": (
        [("np1", "good.mrc", {"polarity": "grey"})],
        "sheet.tsv, line 2: polarity is 'grey'; valid are bright",
    ),
    "duplicate": (
        [("np1", "good.mrc")] * 2,
        "sheet.tsv, line 3: name np1 was used on line 2; names must differ",
    ),
    "misspelt": (["denoise={n_componets: 3}"], "unknown key denoise.n_componets; did you mean n_components?"),
    "rate": (
        [("np1", "good.mrc", {"frame_rate_hz": "0"})],
        "sheet.tsv, line 2: frame_rate_hz is 0.0; it must be a number above 0 and at most 1000000",
    ),
    "range": (["track={margin_A: -1}"], "track.margin_A is -1; it must be a number from 1 to 30"),
}


@pytest.mark.parametrize("name", SLIPS)
def test_slips_in_sheet_and_config_end_the_run_before_any_job(tmp_path, name):
    """Would catch a slip found only by the stage that it concerns, or a sentence that names no valid value."""
    given, words = SLIPS[name]
    settings = [one for one in given if isinstance(one, str)]
    sheet(tmp_path, *([("np1", "good.mrc")] if settings else given))
    code, text = snakemake(tmp_path, "--config", "trajectories=sheet.tsv", *settings)
    assert code == 1
    said = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and words in said[0], text
    assert "Traceback" not in text and "rule " not in text
    assert not (tmp_path / "results").exists()
    assert page()[name] == said[0].removeprefix("error: ")


def test_a_folder_without_permission_is_one_sentence(tmp_path):
    """Would catch the traceback in which Snakemake ends where it cannot keep its records."""
    sheet(tmp_path, ("np1", "good.mrc"))
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("root may write everywhere")
    code, text = snakemake(tmp_path, "--config", "trajectories=sheet.tsv")
    tmp_path.chmod(0o755)
    assert code == 1 and "Traceback" not in text
    assert f"error: {tmp_path}: not writable (no permission" in text and "--directory FOLDER" in text


def page():
    """{input: sentence} of the table in docs/results-running.md."""
    text = (PROJECT / "docs" / "results-running.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `(\w+)` \|[^|]*\| (.+?) \|$", text, re.M))


def test_the_page_of_results_shows_these_sentences(ended):
    """Would catch a page that promises other words than those said."""
    assert set(page()) == {*SAID, *SLIPS}
    for name in SAID:
        said = re.search(rf"^error: track {name}: (.*)$", ended[2], re.M)[1]
        assert page()[name] == said.replace(f"{ended[0]}/", "")
