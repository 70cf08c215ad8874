"""Digests of code: they must change with code that runs, and with nothing else."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perrin.closure import NEUTRAL, PACKAGE, code_digests, locate

PROJECT = PACKAGE.parents[1]
STAGES = sorted(
    line.split('"')[1].rpartition(".")[0]
    for script in (PROJECT / "workflow" / "scripts").glob("*.py")
    for line in script.read_text().splitlines()
    if line.startswith("stage.run(")
)


@pytest.fixture
def small(tmp_path):
    """A package of four modules: top imports middle (inside a function) and middle imports base relatively."""
    package = tmp_path / "small"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "room" / "__init__.py").write_text("")
    (package / "top.py").write_text(
        "import os\n\ndef stage():\n    from small.room.middle import work\n    return work\n"
    )
    (package / "room" / "middle.py").write_text(
        "from . import base\nfrom ..other import *\n\nwork = base.x\n"
    )
    (package / "room" / "base.py").write_text('"""Doc."""\nx = 1  # one\n')
    (package / "other.py").write_text("class A:\n    '''Doc.'''\n")
    return tmp_path


def test_closure_follows_every_kind_of_import(small):
    """Would catch an import form that is overlooked: absolute, relative, star, inside a function, parents."""
    found = code_digests("small.top", small)
    assert set(found) == {
        "small",
        "small.top",
        "small.room",
        "small.room.middle",
        "small.room.base",
        "small.other",
    }


@pytest.mark.parametrize(
    "text",
    ['"""Another text."""\nx = 1\n', "x = 1\n", "x = (1)   # another remark\n\n\n"],
)
def test_docstrings_comments_and_layout_change_no_digest(small, text):
    """Would catch a rerun after an edit that changes no number."""
    before = code_digests("small.top", small)
    (small / "small" / "room" / "base.py").write_text(text)
    assert code_digests("small.top", small) == before


def test_an_edit_changes_the_digest_of_its_module_alone(small):
    """Would catch a dry run that names the wrong module, or a change that is not seen."""
    before = code_digests("small.top", small)
    (small / "small" / "room" / "base.py").write_text("x = 2\n")
    after = code_digests("small.top", small)
    assert [name for name in before if before[name] != after[name]] == ["small.room.base"]


def test_a_module_that_is_not_found_is_an_error(small):
    """Would catch an empty answer, by which every change of code would go unseen."""
    with pytest.raises(ValueError, match="no module small.nothing"):
        code_digests("small.nothing", small)


@pytest.mark.parametrize("module", STAGES)
def test_closure_holds_all_modules_of_perrin_that_the_import_loads(module):
    """Would catch a dynamic import, or an import form that the walk misses, in any stage."""
    if locate(module, PACKAGE.parent) is None:
        pytest.fail(f"a script runs {module}, which does not exist")
    program = (
        f"import sys, {module}; print(*[name for name in sys.modules if name.split('.')[0] == 'perrin'])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(loaded) <= set(code_digests(module)) | NEUTRAL


def test_neutral_modules_exist_and_compute_nothing():
    """Would catch a module that was renamed, or numerics in one whose changes are not followed."""
    for name in NEUTRAL:
        path = locate(name, PACKAGE.parent)
        assert path is not None, name
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)) and name != "perrin.stage":
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"numpy", "scipy"} & {n.split(".")[0] for n in names}, name


def test_digests_do_not_depend_on_the_place(tmp_path):
    """Would catch a rerun of everything after a move or a fresh clone."""
    shutil.copytree(PACKAGE, tmp_path / "perrin", ignore=shutil.ignore_patterns("__pycache__"))
    module = "perrin.frames.denoise"
    assert code_digests(module, tmp_path) == code_digests(module, Path(PACKAGE.parent))
