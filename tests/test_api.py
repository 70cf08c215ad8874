"""The API pages are those of the code, and every example on them runs."""

import doctest
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))

import make_api  # noqa: E402

rooms = pytest.mark.parametrize("room", make_api.ROOMS)


@rooms
def test_page_is_what_the_docstrings_say(room):
    """Would catch a function added, renamed or explained anew without the page: run python docs/make_api.py."""
    assert make_api.path(room).read_text(encoding="utf-8") == make_api.page(room)


@rooms
def test_examples_run(room, tmp_path, monkeypatch):
    """Would catch an example that people paste and that fails, or gives another number."""
    monkeypatch.chdir(tmp_path)
    begin = {}
    exec(make_api.ROOMS[room][1].replace(">>> ", ""), begin)
    attempted, failed = 0, []
    for name in make_api.ROOMS[room][2].split():
        module = import_module(f"perrin.{room}.{name}")
        for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs={**vars(module), **begin}):
            result = doctest.DocTestRunner().run(test)
            attempted += result.attempted
            failed += [test.name] * (result.failed > 0)
    assert attempted > 10 and not failed, failed


@rooms
def test_public_functions_say_what_they_do(room):
    """Would catch a public function without a docstring, and a module of the page that is gone."""
    for name in make_api.ROOMS[room][2].split():
        module = import_module(f"perrin.{room}.{name}")
        own = [
            value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
        ]
        for value in own:
            assert value.__name__.startswith("_") or value.__doc__, f"{name}.{value.__name__}"


def test_every_room_has_a_place_in_the_site():
    """Would catch a page that nobody finds."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert all(f"api-{room}.md" in text for room in make_api.ROOMS)
