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
    used = {source for files in make_outputs.STAGES.values() for _, source, _ in files if source}
    assert not set(make_outputs.declared()) - used


def test_every_file_of_a_rule_is_listed():
    """Would catch an output of a rule that the page does not explain."""
    listed = {path for files in make_outputs.STAGES.values() for path, _, _ in files}
    written = set()
    for rules in (ROOT / "rules").glob("*.smk"):
        for block in re.findall(
            r"^    output:\n((?:        .*\n|\n)*)", rules.read_text(), flags=re.MULTILINE
        ):
            written |= set(re.findall(r"results/\{trajectory\}/([^\"']+)", block))
    unknown = {
        path
        for path in written
        if path not in listed and not path.endswith(("columns.json", "provenance.json"))
    }
    assert not unknown
