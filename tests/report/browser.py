"""The page in a real browser, headless, at 1280 and 400 px wide, played by reader.js."""

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


def look(page, folder, reader=READER):
    """(what the reader, a script, saw at each width, complaints of the console); skips where there is no Chromium."""
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    (folder / "page.html").write_text(
        page.replace("</body>", f"<script>{reader}</script></body>"), encoding="utf-8"
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
