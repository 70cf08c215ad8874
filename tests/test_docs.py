"""Pages for people: links that lead somewhere, commands that the CI runs, nothing of one machine."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def anchors(text):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ +(.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pages
def test_relative_links_lead_to_files_and_headings(page):
    """Would catch a page or heading that was renamed, removed or never written."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link}: no such file"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{link}: no such heading"


@pages
def test_files_named_in_backticks_exist(page):
    """Would catch a page that sends people to a script, test or module that has moved."""
    folders = "tests|workflow|rules|docs|config|profiles|envs|benchmarks"
    for name in re.findall(
        rf"`((?:{folders})/[\w./-]+\.(?:py|sh|md|smk|yaml|tsv))`", page.read_text(encoding="utf-8")
    ):
        made_by_user_or_example = "NAME" in name or "facets" in name
        assert made_by_user_or_example or (ROOT / name).exists(), name


@pages
def test_modules_named_in_backticks_exist(page):
    """Would catch a page that explains a module by a name that it no longer has."""
    rooms = "files|imaging|frames|poses|maps|atoms|rounds|windows|states|report|simulate"
    for room, name in re.findall(
        rf"`(?:perrin\.)?({rooms})\.([a-z_0-9]+)[\w.]*`", page.read_text(encoding="utf-8")
    ):
        folder = ROOT / "workflow" / "perrin" / room
        if name in ("csv", "json", "mrc", "mrcs", "tsv", "html", "svg", "star", "facets"):
            continue
        assert (folder / f"{name}.py").exists() or (folder / name).is_dir(), f"{room}.{name}"


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CITATION.cff", ROOT / "LICENSE"], ids=lambda page: page.name
)
def test_pages_name_no_machine(page):
    """Would catch paths of the machine a page was written on and addresses of package indices."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(work|home|root|tmp|Users)/", text)
    assert not re.search(r"pypi|--index-url|files\.pythonhosted|anaconda\.org", text)


def test_citation_can_be_read():
    """Would catch a citation file that GitHub and Zenodo cannot read, and versions that differ."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "BSD-3-Clause"
    assert "Redistribution and use in source and binary forms" in (ROOT / "LICENSE").read_text()
    version = re.search(r'= "(.+)"', (ROOT / "workflow/perrin/version.py").read_text())[1]
    assert citation["version"] == version
    for person in [*citation["authors"], *citation["preferred-citation"]["authors"]]:
        assert "name" in person or "family-names" in person
    assert citation["preferred-citation"]["journal"] == "Science Advances"


def test_the_readme_begins_with_the_two_commands():
    """Would catch a block that comes before them: people paste the first, CI runs both."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert blocks[0].count("\n") == 1 and blocks[0].strip().endswith("snakemake --cores all")
    assert blocks[1].count("\n") == 1 and "requirements-dev.txt" in blocks[1] and "pytest" in blocks[1]
    assert all("--require-hashes" in block for block in blocks[:2])


def test_examples_of_the_statistics_run():
    """Would catch an example that people paste and that fails, or gives another number."""
    import doctest

    found = doctest.testfile(str(ROOT / "docs" / "statistics.md"), module_relative=False, encoding="utf-8")
    assert found.attempted > 15 and found.failed == 0


def test_test_modules_have_names_of_their_own():
    """Would catch two test modules of one name, which pytest refuses to collect together."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
