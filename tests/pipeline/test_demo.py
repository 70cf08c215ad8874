"""The demo, whole: what the README's first command runs, against the planted truth."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs import PROJECT

from perrin.files.elements import element
from perrin.files.tables import read_table
from perrin.report.truth import match


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which the demo ran, and what Snakemake said.

    PERRIN_DEMO_RUN names one where it ran already; its report alone is made again then.
    """
    ran = os.environ.get("PERRIN_DEMO_RUN")
    folder = Path(ran) if ran else tmp_path_factory.mktemp("demo")
    code, text = snakemake(folder, *(["--forcerun", "report"] if ran else []))
    assert code == 0, text[-4000:]
    return folder, text


def snakemake(folder, *arguments):
    # the tests hold libraries to one thread; the demo runs as a user's does
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-s", PROJECT / "Snakefile", "--directory", folder, "--cores", "2"]
        + list(arguments),
        capture_output=True, text=True, timeout=1200, env=plain,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def atoms(path):
    return read_table(path)[["x_A", "y_A", "z_A"]].to_numpy(float)


def test_both_states_and_their_boundary_are_found(demo):
    """Would catch a demo that ends well and shows something wrong."""
    folder, text = demo
    results = folder / "results" / "demo"
    assert f"The report is {(folder / 'results/report/index.html').resolve()}" in text
    true = read_table(results / "truth" / "frames.csv")["state"].to_numpy()
    change = int(np.flatnonzero(np.diff(true))[0]) + 1
    windows = read_table(results / "segment" / "windows.tsv")
    assert len(windows) == 2
    assert abs(windows["first_frame"].iloc[1] - change) <= 5
    for number, window in enumerate(windows["window"], 1):
        planted = atoms(results / "truth" / f"atoms_state{number}.csv")
        found = match(atoms(results / "windows" / window / "atoms.csv"), planted, element("Pt"), 1.0)
        assert found["recall_pct"] >= 98 and found["precision_pct"] >= 98, (window, found)
        assert found["rmsd_A"] < 0.1


def test_events_are_the_planted_departures(demo):
    """Would catch events that are not those of the movie."""
    results = demo[0] / "results" / "demo"
    lives = read_table(results / "truth" / "lives.csv")
    last = read_table(results / "truth" / "frames.csv")["frame"].max()
    left = lives[lives["last_frame"] < last]
    events = read_table(results / "events" / "events.csv")
    assert set(events["event"]) == {"left"} and len(events) == len(left)
    assert abs(np.median(events["frame"]) - (left["last_frame"].iloc[0] + 1)) <= 3


def test_nothing_is_left_to_do(demo):
    """Would catch a rule whose output looks stale as soon as it is made."""
    code, text = snakemake(demo[0], "-n")
    assert code == 0 and "Nothing to be done" in text


def test_cores_do_not_change_a_digit(demo):
    """Would catch sums whose order depends on the number of threads, in linear algebra first of all."""
    results = demo[0] / "results" / "demo"
    window = read_table(results / "segment" / "windows.tsv")["window"].iloc[1]
    # the later stage first: what is made anew makes all that follows stale
    for rule, path in (("window3d", f"windows/{window}/draft.csv"), ("denoise", "denoise/denoised.mrcs")):
        before = (results / path).read_bytes()
        code, text = snakemake(demo[0], "--cores", "1", "--forcerun", rule, "--", f"results/demo/{path}")
        assert code == 0, text[-4000:]
        assert "Forced execution" in text and (results / path).read_bytes() == before
