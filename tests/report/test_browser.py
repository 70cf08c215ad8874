"""The page in a real browser, headless: a silent console, atoms drawn, picked and turned, no sideways scroll.

The page lies in frames of 1280 and 400 px; a script at its end plays the reader and says to the frame around it
what it saw. Skips where no Chromium is installed.
"""

import shutil
from pathlib import Path

import pytest
from browser import look
from small_run import write_report


@pytest.fixture(scope="module")
def seen(page, tmp_path_factory):
    """(what the reader saw at each width, complaints of the console)."""
    return look(page, tmp_path_factory.mktemp("browser"))


def test_console_is_silent(seen):
    """Would catch a script error, a refused source, a picture that does not decode: each leaves a line."""
    views, complaints = seen
    assert complaints == []
    assert sorted(views) == [400, 1280]
    assert all(v["network"] == 0 for v in views.values())


def test_page_fits_its_width(seen):
    """Would catch a table or picture that makes the whole page scroll sideways on a phone."""
    for width, view in seen[0].items():
        assert view["wide"] <= width


def test_names_of_numbers_are_read_in_words(seen):
    """Would catch a column that long values press together, so that names stand letter below letter on a phone."""
    for view in seen[0].values():
        assert view["narrow"] == []


def test_atoms_are_drawn(seen):
    """Would catch a blank view, atoms left out, or a window that failed and is drawn nevertheless."""
    for view in seen[0].values():
        assert view["drawn"] == [177, 168, 157, 177, 157, 177]
        assert view["played"] == ["State 2, 168 atoms.", "State 4, 157 atoms."]
        assert view["colours"] > 60
        assert min(view["legends"]) > 8


def test_atoms_are_picked_and_turned(seen):
    """Would catch a dead pointer or keyboard, windows that do not turn together, or a pick without its numbers."""
    for view in seen[0].values():
        for part in (
            "Atom ",
            "Å",
            "± 0.080",
            "coordination",
            "radial strain",
            "below the surface",
            "probability",
            "validity",
        ):
            assert part in view["clicked"], part
        assert view["first"].startswith("Atom 1 (Pt)") and view["second"].startswith("Atom 2 (Pt)")
        assert view["turned"] and view["together"]
        assert {
            "coordination",
            "radial strain",
            "error of position",
            "validity in the map",
            "life",
            "element",
        } <= set(view["choices"])


def test_states_beside_each_other_have_one_scale(seen):
    """Would catch two states whose colours cannot be compared, or a choice that holds for one of them only."""
    for view in seen[0].values():
        assert view["linked"] == ["radial strain"] * 2
        assert view["scales"][0].split("dashed")[0] == view["scales"][1].split("dashed")[0]


def test_the_crystal_is_played_through_time(seen):
    """Would catch a site that is drawn when its atom is gone: twenty go from frame 300 on, one comes at frame 600."""
    for view in seen[0].values():
        assert view["moments"] == [
            "0.000 s, frame 0: 177 atoms; so far 0 left, 0 arrived.",
            "0.750 s, frame 300: 176 atoms; so far 1 left, 0 arrived.",
            "0.775 s, frame 310: 175 atoms; so far 2 left, 0 arrived.",
            "0.750 s, frame 300: 176 atoms; so far 1 left, 0 arrived.",
            "2.998 s, frame 1199: 158 atoms; so far 20 left, 1 arrived.",
        ]
        assert view["film"]


def test_a_long_list_is_sieved_and_sorted(results, tmp_path):
    """Would catch an index of many trajectories in which one cannot find the one that failed."""
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    names = ["one", "two", *(f"more{k}" for k in range(12))]
    for name in names[2:]:
        (copy / name).symlink_to(copy / "one")
    page = write_report(copy, names, picture_px=100)
    views, complaints = look(
        page, tmp_path, (Path(__file__).parent / "sorter.js").read_text(encoding="utf-8")
    )
    assert complaints == [] and sorted(views) == [400, 1280]
    for width, view in views.items():
        assert view["wide"] <= width and view["all"] == names
        assert view["sieved"] == ["more1", "more10", "more11"] and view["said"] == "3 of 14 shown"
        assert view["passed"] == [name for name in names if name != "two"]
        assert view["sorted"][:3] == ["two", "one", "more11"]
        assert view["worst"] == "two" and view["how"] == "ascending"
