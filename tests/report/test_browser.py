"""The page in a real browser, headless: a silent console, atoms drawn, picked and turned, no sideways scroll.

The page lies in frames of 1280 and 400 px; a script at its end plays the reader and says to the frame around it
what it saw. Skips where no Chromium is installed.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --enable-logging=stderr --v=0 --virtual-time-budget=8000 --dump-dom"""
READER = (Path(__file__).parent / "reader.js").read_text(encoding="utf-8")
AROUND = """<body style="margin:0"><pre></pre>
<iframe style="width:1280px;height:900px" src="page.html"></iframe>
<iframe style="width:400px;height:900px" src="page.html"></iframe>
<script>
addEventListener("message", (e) => document.querySelector("pre").append(e.data + String.fromCharCode(10)));
</script></body>"""


@pytest.fixture(scope="module")
def seen(page, tmp_path_factory):
    """(what the reader saw at each width, complaints of the console)."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(
        page.replace("</body>", f"<script>{READER}</script></body>"), encoding="utf-8"
    )
    (folder / "around.html").write_text(AROUND, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [BROWSER, *QUIET.split(), profile, "--window-size=1800,1000", (folder / "around.html").as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    lines = re.search(r"<pre>(.*?)</pre>", done.stdout, re.S)
    assert lines and lines[1].strip(), done.stderr[-2000:]
    views = [json.loads(line.replace("&amp;", "&")) for line in lines[1].strip().splitlines()]
    return {v["width"]: v for v in views}, [x for x in done.stderr.splitlines() if "CONSOLE" in x]


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
