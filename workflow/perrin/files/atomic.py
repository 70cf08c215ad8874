"""Files that appear whole or not at all: written under a temporary name in the same folder, then renamed."""

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def whole(path):
    """Yield a temporary path beside `path`; rename it to `path` on success, remove it on failure.

    The temporary name is hidden, keeps the suffix (libraries choose formats by it) and lies in the same
    folder, so that the rename is atomic. Missing folders are made. A failure leaves an older `path` as it
    was. What a killed process left of an earlier attempt is removed: no two processes write one file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}~"
    for left in [file for file in path.parent.iterdir() if file.name.startswith(prefix)]:
        left.unlink(missing_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp keeps files private, results are for the group
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Write a text file, UTF-8 with newline endings, whole or not at all."""
    with whole(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)


def write_json(path, content):
    """Write a dict as JSON; numpy types become plain ones, NaN and infinities become null."""
    write_text(path, json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path):
    """Read a JSON file into a dict."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def plain(value):
    """The value with numpy types, paths and tuples replaced by what JSON knows; NaN becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Path):
        return value.as_posix()
    return value


def _umask():
    """The process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
