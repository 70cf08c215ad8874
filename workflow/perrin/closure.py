"""What code a stage runs: {module: digest} over the imports of its function, blind to comments and docstrings.

Snakemake gets the dict as a parameter of the stage's rule, so that a dry run names the module that changed.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
NEUTRAL = {
    # they say how a stage is started, watched, recorded or refused, and never change a number
    "perrin.stage",
    "perrin.compiled",
    "perrin.progress",
    "perrin.workers",
    "perrin.version",
    "perrin.files.errors",
    "perrin.files.provenance",
}
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digests(module, root=PACKAGE.parent):
    """{module: eight hex digits} of a module and of every module of its package that it imports, however deep.

    module : dotted name, "perrin.frames.track"; root : folder that holds the package.
    Raises ValueError where the module is not found: an empty answer would hide every change of code.
    """
    if locate(module, root) is None:
        raise ValueError(f"no module {module} below {root}")
    found, todo = {}, [module]
    while todo:
        name = todo.pop()
        path = locate(name, root)
        if name in found or name in NEUTRAL or path is None:
            continue
        text, names = _read(path, name, root)
        found[name] = hashlib.sha256(text.encode()).hexdigest()[:8]
        todo += names
    return dict(sorted(found.items()))


def locate(module, root):
    """The file of a dotted module name below root, None where there is none."""
    base = Path(root).joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def normalised(tree):
    """Source text of a syntax tree without docstrings (comments and layout are gone already)."""
    for node in ast.walk(tree):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def imported(tree, module, is_package, root):
    """Dotted names of the modules below root that a module's tree imports, wherever in it; its parents too."""
    parts = module.split(".")
    names = {".".join(parts[:end]) for end in range(1, len(parts))}
    package = parts if is_package else parts[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                dotted = alias.name.split(".")
                names.update(".".join(dotted[:end]) for end in range(1, len(dotted) + 1))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names.update(".".join(base[:end]) for end in range(1, len(base) + 1))
            names.update(".".join([*base, alias.name]) for alias in node.names)
    return sorted(name for name in names if name and locate(name, root) is not None)


def _read(path, module, root):
    stat = path.stat()
    return _parsed(path, module, root, stat.st_mtime_ns, stat.st_size)


@cache
def _parsed(path, module, root, mtime_ns, size):
    """Normalised text and imports of one file; the same file is asked for by every stage."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = imported(tree, module, path.name == "__init__.py", root)
    return normalised(tree), names
