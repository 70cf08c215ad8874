"""What the page reads and what the rule lists are the same files."""

import re
import sys
from pathlib import Path

from small_run import FAILED, PROJECT, WINDOWS, name_of, write_report

opened = None


def hear(event, arguments):
    """Note every file that is opened while `opened` is a set."""
    if opened is not None and event == "open" and isinstance(arguments[0], (str, Path)):
        opened.add(str(arguments[0]))


def listed(name):
    """A list of files in rules/common.smk."""
    text = (PROJECT / "rules/common.smk").read_text(encoding="utf-8")
    return set(re.findall(r'"([^"]+)"', re.search(rf"^{name} = \[\n(.*?)^\]", text, re.M | re.S)[1]))


def test_the_rule_lists_what_the_page_reads(results):
    """Would catch a page that is not made again when a file it shows changes, or that waits for one it never reads."""
    global opened
    sys.addaudithook(hear)
    opened = set()
    write_report(results, ["one"])
    read, opened = opened, None
    one = str(results / "one") + "/"
    read = {p.removeprefix(one) for p in read if p.startswith(one) and not p.endswith(".columns.json")}
    assert {p for p in read if not p.startswith("windows/")} == listed("OF_TRAJECTORY")
    for number, window in enumerate(WINDOWS):
        start = f"windows/{name_of(window)}/"
        of_window = {p.removeprefix(start) for p in read if p.startswith(start)}
        if number == FAILED:
            assert not of_window & {"atoms.csv", "map.mrc", "density.mrc", "atoms_stats.csv"}
        else:
            assert of_window == listed("OF_WINDOW")
