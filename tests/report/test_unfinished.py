"""The report of a run in which some trajectories failed."""

import os
import shutil
import time

from small_run import keys, rows_for

from perrin.files.atomic import write_text
from perrin.report.unfinished import unfinished


def test_the_others_are_reported_and_the_failed_listed(results, tmp_path):
    """Would catch one failure that costs all others their report, a failure without its sentence, and old results
    of a trajectory that has failed since shown as if they were new.
    """
    copy, logs = tmp_path / "results", tmp_path / "logs"
    shutil.copytree(results, copy)
    for name in ("again", "old"):
        shutil.copytree(copy / "one", copy / name)
    line = "12:00:00 E error: track bad: bad.mrc: the file is <empty>; copy it again\n"
    write_text(logs / "bad/track.log", "12:00:00 I began\n" + line)
    write_text(
        logs / "old/windows/f000000-000299/model.log", line.replace("track bad", "model old f000000-000299")
    )
    write_text(logs / "again/track.log", line)
    os.utime(logs / "again/track.log", (1, 1))
    os.utime(logs / "old/windows/f000000-000299/model.log", (time.time() + 9,) * 2)
    rows = rows_for("one", "bad", "old", "again", "waiting")
    index, failures = unfinished(rows, copy, logs, {}, keys("summary"), keys("report", picture_px=100))
    assert failures == {
        "bad": "track: bad.mrc: the file is <empty>; copy it again",
        "old": "model: old f000000-000299: bad.mrc: the file is <empty>; copy it again",
        "waiting": "not done when the run ended",
    }
    text = index.read_text(encoding="utf-8")
    top = text[text.index('id="found"') : text.index('<div class="cards">')]
    assert "3 trajectories did not get to the end" in top and "&lt;empty&gt;" in top
    ends = (("one", "doubtful"), ("again", "doubtful"), ("old", "failed"), ("bad", "failed"))
    cards = {name: f'<article class="card {verdict}">\n<h3><a href="trajectories/{name}.html"' in text
             for name, verdict in ends}  # fmt: skip
    assert all(cards.values()), cards
    assert "<canvas" not in (index.parent / "trajectories/old.html").read_text(encoding="utf-8")
    assert unfinished(rows[1:2], copy, logs, {}, keys("summary"), keys("report"))[0] is None
