"""Compiled functions give the same digits whatever was compiled or loaded from a cache before."""

import ast
import os
import subprocess
import sys
from pathlib import Path

from perrin.compiled import folder_of_kernels

PACKAGE = Path(__file__).parents[1] / "workflow" / "perrin"


def compiled_functions():
    """Of every module: {name: (inlined, names called)} of its functions compiled by numba; constants of flags read."""
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        flags = {
            node.targets[0].id: ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Dict)
        }  # fmt: skip
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef):
                continue
            words = " ".join(ast.unparse(d) for d in node.decorator_list)
            if "njit" in words:
                words += " ".join(text for name, text in flags.items() if "**" + name in words)
                calls = {
                    c.func.id for c in ast.walk(node) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)
                }  # fmt: skip
                yield path.stem, node.name, "inline" in words, calls


def test_what_kernels_call_is_inlined():
    """Which copy of a function a kernel calls depends, unless it is inlined, on what ran before in the process:
    a first run, which compiles, then differs from a second one, which loads, in the last digits."""
    every = list(compiled_functions())
    assert len(every) > 50
    called = set().union(*(calls for *_, calls in every))
    own = {(module, name) for module, name, inlined, _ in every if name in called and not inlined}
    # a parallel kernel of the same name in another module is not what is called
    own -= {("align2d", "_turn")}
    assert not own


PROBLEM = """
import hashlib
import numpy as np
from perrin.atoms.joint import covariances, free_step
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import rotvec_matrices
from perrin.poses.polish import polish

rng = np.random.default_rng(5)
axis = np.arange(-2, 3) * 2.0
xyz = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) + rng.normal(0, 0.3, (125, 3))
o, ones = rng.uniform(0.7, 1.2, 125), np.ones(24)
R, s = rotvec_matrices(rng.normal(0, 1, (24, 3))), rng.normal(0, 0.2, (24, 2))
profile = Profile(np.array([0.4, 0.6]), np.array([1.0, 0.5]), 0.05)
table = overlap(profile, profile, 0.358)
frames = rng.normal(size=(24, 48, 48)).astype(np.float32)
filtered = filter_frames(frames, 0.358, profile)
out = [*free_step(filtered, xyz, o, table, R, s, ones), *covariances(xyz, o, table, R, s, ones)]
out += [*polish(filtered, xyz, o, table, R, s, ones, iterations=2, walk_deg=2.0, box_A=np.zeros((24, 2)))]
for array in out:
    print(hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest())
"""


def test_a_run_that_compiles_gives_the_digits_of_one_that_loads(tmp_path):
    """numba optimises the body of a parallel kernel once where it compiles and twice in what it keeps: sums written so
    that the second pass reorders them differ in the last digit (the pose matrix did, by a factor inside its products).
    """
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROBLEM], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert len(runs[0]) > 8
    assert runs[0] == runs[1]


def test_a_kernel_is_made_anew_when_a_helper_in_another_file_has_changed(tmp_path):
    """Would catch an update after which kernels go on with the old helper: numba looks at the kernel's file alone."""
    package = tmp_path / "perrin"
    (package / "imaging").mkdir(parents=True)
    helper, kernel = package / "imaging" / "helper.py", package / "kernel.py"
    for path in ("compiled.py", "__init__.py"):
        (package / path).write_text((PACKAGE / path).read_text())
    (package / "imaging" / "__init__.py").write_text("")
    text = "import numba\n\n@numba.njit(forceinline=True)\ndef plus(x):\n    return x + {}\n"
    helper.write_text(text.format(1))
    kernel.write_text(
        "import numba\nfrom perrin.imaging.helper import plus\n\n@numba.njit(cache=True)\ndef twice(x):\n"
        "    return 2 * plus(x)\n\nprint(twice(1))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {
        "PYTHONPATH": str(tmp_path)
    }

    def run():
        command = [sys.executable, "-m", "perrin.kernel"]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()

    assert run() == run() == "4"
    helper.write_text(text.format(2))
    assert run() == "6"
    assert len(list((package / "__pycache__").glob("kernels-*"))) == 2


def test_the_folder_of_kernels_lies_where_the_user_says(tmp_path):
    """Would catch a folder within a folder for each process that a process starts."""
    own = folder_of_kernels(given=tmp_path)
    assert own.parent == tmp_path
    assert folder_of_kernels(given=own) == own
