"""Compiled functions give the same digits whatever was compiled or loaded from a cache before."""

import ast
from pathlib import Path

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
