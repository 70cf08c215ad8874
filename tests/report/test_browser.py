"""The page in a real browser, headless: a silent console, atoms drawn, picked and turned, no sideways scroll.

The page lies in frames of 1280 and 400 px; a script at its end plays the reader and says to the frame around it
what it saw. Skips where no Chromium is installed.
"""

import pytest
from browser import look


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


def test_atoms_are_drawn(seen):
    """Would catch a blank view, atoms left out, or a window that failed and is drawn nevertheless."""
    for view in seen[0].values():
        assert view["drawn"] == [177, 168, 157, 177]
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
        ):
            assert part in view["clicked"], part
        assert view["first"].startswith("Atom 1 (Pt)") and view["second"].startswith("Atom 2 (Pt)")
        assert view["turned"] and view["together"]
        assert {"coordination", "radial strain", "error of position", "life", "element"} <= set(
            view["choices"]
        )
