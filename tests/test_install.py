"""`pip install .`: holds every room and every file that the command line reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What an installation of this checkout puts into site-packages."""
    pytest.importorskip("setuptools", reason="without setuptools nothing can be built here")
    folder = tmp_path_factory.mktemp("install")
    source = folder / "source"
    # a copy of what git has, so that nothing is built inside the checkout
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    for name in files.stdout.decode().split("\0"):
        if name.startswith(("workflow/", "config/", "envs/")) or name in (
            "pyproject.toml",
            "README.md",
            "LICENSE",
        ):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    program = "from setuptools import setup; setup()"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        program,
        "-q",
        "build",
        "--build-lib",
        str(folder / "site"),
    ]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "site"


def test_every_module_is_installed(installed):
    """Would catch a new room that pyproject.toml does not list."""
    here = {p.relative_to(ROOT / "workflow") for p in (ROOT / "workflow/perrin").rglob("*.py")}
    assert here == {p.relative_to(installed) for p in (installed / "perrin").rglob("*.py")}
    assert (installed / "perrin/shipped/config/elements.yaml").is_file()


def test_commands_run_when_installed(installed, tmp_path):
    """Would catch a table, template or script that is found in a checkout only."""
    points = [(x, y, z) for x in range(-4, 5) for y in range(-4, 5) for z in range(-4, 5)
              if (x + y + z) % 2 == 0 and x * x + y * y + z * z <= 10]  # fmt: skip
    for name, count in (("a", 79), ("b", 75)):
        rows = [f"Pt {x * 1.9621} {y * 1.9621} {z * 1.9621}" for x, y, z in points[:count]]
        (tmp_path / f"{name}.xyz").write_text("\n".join([str(count), "", *rows, ""]))
    run = [sys.executable, "-m", "perrin"]
    where = {"cwd": tmp_path, "env": {"PYTHONPATH": str(installed), "PATH": "", "OMP_NUM_THREADS": "1"}}
    where["env"]["NUMBA_DISABLE_JIT"] = "1"  # compiling anew takes longer than so few atoms do without
    subprocess.run([*run, "stats", "a.xyz", "--json", "a.json"], check=True, **where)
    assert json.loads((tmp_path / "a.json").read_text())["structure"] == "fcc"
    subprocess.run([*run, "compare", "a.xyz", "b.xyz", "--out", "c"], check=True, **where)
    assert "perrinViews" in (tmp_path / "c/index.html").read_text()
