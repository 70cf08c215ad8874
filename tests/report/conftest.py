"""A small results folder and its page."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # small_run.py

from small_run import (
    FAILED,
    LOST,
    WINDOWS,
    crystal,
    keys,
    write_after_windows,
    write_before_windows,
    write_report,
    write_truth,
    write_window,
)

from perrin.files.atomic import write_json
from perrin.states.summary import summary


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """Results of `one` (four windows, the third failed) and of `two`, of which nothing was found."""
    folder, rng, points = tmp_path_factory.mktemp("run") / "results", np.random.default_rng(3), crystal()
    one = folder / "one"
    write_before_windows(one, rng)
    for number, (window, gone) in enumerate(zip(WINDOWS, LOST)):
        xyz = np.zeros((0, 3)) if gone is None else points[gone:]
        verdict = "failed" if number == FAILED else "good"
        write_window(one, window, xyz + rng.normal(0, 0.08, xyz.shape), rng, verdict)
    write_after_windows(one)
    write_json(
        folder / "two/classes2d/particle.json", {"verdict": "failed", "why": "no frame shows a particle"}
    )
    write_truth(folder / "demo/truth", points)
    summary(
        states=[one / "dynamics/states.csv"], categories=[one / "dynamics/category.json"],
        states_table=folder / "summary/states.csv", trajectories_table=folder / "summary/trajectories.csv",
        figure_png=folder / "summary/summary.png", figure_svg=folder / "summary/summary.svg", **keys("summary"),
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def page(results):
    """The text of the page of both trajectories, with truth."""
    return write_report(results, ["one", "two"], {"one": str(results / "demo/truth")})


@pytest.fixture
def measured_files():
    """Paths of the two measured models; skips where they are absent."""
    root = Path(__file__).resolve().parents[2]
    folder = next((p / "shared" for p in root.parents[:2] if (p / "shared").is_dir()), root / "../shared")
    paths = [folder / f"data/coordinates/kang2025_stage{k}.csv" for k in (1, 2)]
    if not all(path.is_file() for path in paths):
        pytest.skip("the shared coordinate files are not beside this checkout")
    return [str(path) for path in paths]
