"""docs/outputs.md says what the code writes."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import make_outputs  # noqa: E402


def test_page_is_what_the_code_declares():
    """Would catch a column added, renamed or explained anew without the page: run python docs/make_outputs.py."""
    assert make_outputs.PAGE.read_text(encoding="utf-8").splitlines() == make_outputs.page().splitlines()


def test_every_dict_of_columns_belongs_to_a_file():
    """Would catch a new table that the page does not list: say in docs/make_outputs.py which file it is."""
    used = {source for _, source, _ in listed() if source}
    assert not set(make_outputs.declared()) - used


def test_files_listed_are_those_that_the_rules_write():
    """Would catch an output of a rule that the page does not explain, and a file on the page that nobody writes."""
    written = {"demo/movie/movie.mrc"}  # the one path that the rules hold in a variable
    for rules in (ROOT / "rules").glob("*.smk"):
        for block in re.findall(
            r"^    output:\n((?:        .*\n|\n)*)", rules.read_text(), flags=re.MULTILINE
        ):
            written |= set(re.findall(r"results/([^\"']+)", block))
    written = {path.removeprefix("{trajectory}/") for path in written if not path.endswith("provenance.json")}
    assert written == {path for path, _, _ in listed()}


def listed():
    """All (path, source, meaning) of the page."""
    return [
        file
        for stages in (make_outputs.STAGES, make_outputs.TOGETHER)
        for files in stages.values()
        for file in files
    ]
