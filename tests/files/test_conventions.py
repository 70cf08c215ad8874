"""The conventions page: its tests exist, and the conventions that belong to no room are proved here."""

import ast
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from perrin.files.models import read_atoms, write_atoms
from perrin.files.poses import read_poses, write_poses
from perrin.files.records import Atoms, Poses
from perrin.files.stacks import read_stack, write_stack
from perrin.imaging.rotations import matrices

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import make_outputs  # noqa: E402

NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "conventions.md").read_text())
SOURCES = [
    pytest.param(path, id=str(path.relative_to(ROOT))) for path in (ROOT / "workflow/perrin").rglob("*.py")
]
# unit in the column dictionary: endings of the column's name, before any _low or _high
ENDINGS = {
    "A": "_A",
    "deg": "_deg",
    "s": "_s",
    "px": "_px",
    "A^2": "_A2",
    "%": "_pct",
    "Hz": "_hz",
    "1/s": "_per_s",
    "1/A": "_per_A",
}


@pytest.mark.parametrize("file, name", NAMED)
def test_tests_named_on_the_page_exist(file, name):
    """Would catch a convention whose proof was renamed or removed."""
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_line_of_the_page_names_a_test():
    """Would catch a convention without a proof."""
    page = (ROOT / "docs" / "conventions.md").read_text()
    lines = re.split(r"^- ", page, flags=re.MULTILINE)[1:]
    assert len(lines) > 20
    for line in lines:
        assert "::test_" in line, line


@pytest.mark.parametrize("source", make_outputs.declared())
def test_column_names_carry_their_units(source):
    """Would catch a length in a column named as if it had no unit, or named in one unit and explained in another."""
    for name, (unit, meaning) in make_outputs.columns(source).items():
        stem = re.sub(r"_(low|high)$", "", name)
        if unit in ENDINGS:
            assert stem.endswith(ENDINGS[unit]), f"{source}: {name} in {unit}"
        # the longest ending counts: net_per_s is a rate in 1/s, not a time in s
        said = max(
            (u for u, ending in ENDINGS.items() if stem.endswith(ending)),
            key=lambda u: len(ENDINGS[u]),
            default="",
        )
        assert said in ("", unit), f"{source}: {name} in {unit or 'no unit'}"
        assert meaning.strip()


def test_quaternion_takes_the_body_to_the_microscope():
    """Would catch the inverse rotation or a scalar-last quaternion: numbers of a movie with known truth."""
    rotation = matrices([[0.254266, 0.622226, 0.539644, 0.506920]])[0]
    np.testing.assert_allclose(rotation @ [-5.9982, 6.9770, -2.9349], [0.8081, -8.2627, 4.9341], atol=2e-4)


def test_types_of_images_and_geometry(tmp_path):
    """Would catch images in float64 (twice the memory) or geometry in float32 (a nanometre box loses 1e-6 A)."""
    write_stack(tmp_path / "a.mrcs", np.zeros((2, 4, 4)), 1.0)
    assert read_stack(tmp_path / "a.mrcs").dtype == np.float32
    ones = np.ones(2, np.float32)
    write_poses(
        tmp_path / "p.csv", Poses(np.arange(2), np.eye(4, dtype=np.float32)[:2], np.zeros((2, 2)), ones, ones)
    )
    poses = read_poses(tmp_path / "p.csv")
    atoms = Atoms(np.zeros((2, 3), np.float32), ones, np.zeros((2, 3, 3), np.float32), ones, "Pt")
    write_atoms(tmp_path / "a.csv", atoms, 8, 0.5)
    again = read_atoms(tmp_path / "a.csv", 8, 0.5)
    for values in (
        poses.quaternion,
        poses.shift_A,
        poses.amplitude,
        again.xyz_A,
        again.covariance_A2,
        again.occupancy,
    ):
        assert values.dtype == np.float64


@pytest.mark.parametrize("path", SOURCES)
def test_randomness_comes_from_a_seed(path):
    """Would catch a generator without a seed, or numpy's global one, which no seed in the config governs."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called.endswith("default_rng"):
            assert node.args or node.keywords, f"{path.name}:{node.lineno} default_rng() without a seed"
        assert not re.match(r"(np|numpy)\.random\.(?!default_rng|Generator|SeedSequence|PCG64)", called), (
            called
        )
        assert not re.match(r"random\.(random|randint|choice|shuffle|gauss|uniform|seed)$", called), called
