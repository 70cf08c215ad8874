"""`python -m perrin compare`: planted series are told as they were planted, on a page that needs no network."""

import json
import re

import numpy as np
import pytest
from browser import look
from scipy.spatial.transform import Rotation
from small_run import crystal

from perrin.__main__ import main
from perrin.files.tables import read_table

LOST = (0, 9, 20, 20)


def write(path, xyz):
    rows = [f"Pt {x:.6f} {y:.6f} {z:.6f}" for x, y, z in xyz]
    path.write_text("\n".join([str(len(xyz)), "", *rows, ""]))
    return str(path)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Four models of an etched crystal, the third in another frame; the folder that compare wrote."""
    folder, rng, points = tmp_path_factory.mktemp("compare"), np.random.default_rng(5), crystal()
    points = points[np.argsort(-points @ [1, 2, 3], kind="stable")]
    files = []
    for k, gone in enumerate(LOST):
        xyz = points[gone:] + rng.normal(0, 0.05, (len(points) - gone, 3))
        if k == 2:
            xyz = rng.permutation(xyz @ Rotation.random(rng=rng).as_matrix().T + [4, 50, -9])
        files.append(write(folder / f"m{k}.xyz", xyz))
    assert main(["compare", *files, "--times", "1", "3", "7", "9", "--out", str(folder / "out")]) == 0
    return folder / "out", len(points)


def test_planted_changes(compared):
    """Would catch a model left undocked, atoms mistaken for others, or rates over another time."""
    out, n = compared
    rates, states, core = (read_table(out / f"{t}.csv") for t in ("rates", "states", "core"))
    assert states["n_atoms"].tolist() == [n - gone for gone in LOST]
    assert states["docked"].tolist() == [False, False, True, False]
    assert (rates["left"] + rates["moved"]).tolist() == [9, 11, 0] and rates["arrived"].tolist() == [0, 0, 0]
    assert rates["published_per_s"].tolist() == [-4.5, -2.75, 0]
    assert len(core) == n - 20
    for k, gone in enumerate(LOST, 1):
        column = [
            float(l[60:66])
            for l in (out / f"state{k}/core.pdb").read_text().splitlines()
            if l.startswith("HETATM")
        ]
        assert len(column) == n - gone and sum(column) == n - 20
    assert json.loads((out / "category.json").read_text())["category"] != "undetermined"


def test_files_are_in_one_frame(compared):
    """Would catch the docked model written where its file had it: strain maps and lives would not overlay."""
    out, n = compared
    xyz = [read_table(out / f"state{k}/atoms.csv")[["x_A", "y_A", "z_A"]].to_numpy() for k in (2, 3)]
    gap = np.linalg.norm(xyz[1][:, None] - xyz[0][None], axis=2).min(1)
    assert len(gap) == n - 20 and gap.max() < 0.6
    assert len(read_table(out / "state3/atoms_stats.csv")) == n - 20


def test_page_is_whole_and_alone(compared):
    """Would catch a page that loads anything, or leaves a model, a figure or the numbers out."""
    text = (compared[0] / "index.html").read_text()
    assert not re.search(r'(?:src|href|url)\s*[=(]\s*["\']?(?:https?:)?//', text)
    for word in (
        "4 models of Pt",
        "time-invariant core",
        "State 4:",
        "radial strain",
        "g(r)",
        "m2.xyz",
        "net (1/s)",
    ):
        assert word in text, word
    assert "NaN" not in re.sub(r"<script>.*?</script>", "", text, flags=re.S)
    for name in re.findall(r'href="([^"#:]+)"', text):
        assert (compared[0] / name).is_file(), name


def test_page_in_a_browser(compared, tmp_path):
    """Would catch a script error, an empty view, or a page that scrolls sideways on a phone."""
    views, complaints = look((compared[0] / "index.html").read_text(), tmp_path)
    assert complaints == [] and sorted(views) == [400, 1280]
    n = compared[1]
    for width, view in views.items():
        assert view["wide"] <= width and view["network"] == 0
        assert view["drawn"][:4] == [n - gone for gone in LOST]
        assert {"coordination", "radial strain", "life", "core and fringe"} <= {*view["choices"]}


def test_measured_stages(tmp_path, measured_files):
    """Would catch a series of published models that is told otherwise: 258 stay, 50 leave, 6 move."""
    assert main(["compare", *measured_files, "--out", str(tmp_path)]) == 0
    rates, text = read_table(tmp_path / "rates.csv"), (tmp_path / "index.html").read_text()
    assert (rates["atoms_before"][0], rates["atoms_after"][0]) == (314, 264)
    assert rates["stayed"][0] == len(read_table(tmp_path / "core.csv")) == 258
    assert not [c for c in rates if c.endswith("_s")] and "net (1/s)" not in text


def test_bad_series_get_one_sentence(tmp_path, capsys):
    """Would catch a traceback, or half a folder written."""
    points = crystal()
    a, b = write(tmp_path / "a.xyz", points), write(tmp_path / "b.xyz", points[5:])
    out = tmp_path / "out"
    for arguments, words in [
        ([a], "at least two"),
        ([a, b, "--times", "1"], "1 numbers for 2 models"),
        ([a, b, "--times", "2", "2"], "must rise"),
        ([a, str(tmp_path / "c.xyz")], "no such file"),
        ([a, write(tmp_path / "d.xyz", points[:4])], "d.xyz: 4 atoms"),
    ]:
        assert main(["compare", *arguments, "--out", str(out)]) == 1
        said = capsys.readouterr().err
        assert said.startswith("error: ") and words in said and said.count("\n") == 1
    assert not out.exists()
