"""Where compiled kernels are kept: apart for each state of the sources that they are made of.

numba makes a kernel anew when the kernel's own file has changed, and not when a helper from another file has, whose
code is inside of it. After an update a kernel would go on with the helper as it was. So the folder is named by what
all files with compiled code contain.
"""

import hashlib
import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
MARK = b"njit"
NAME = "kernels-"


def folder_of_kernels(package=PACKAGE, given=None):
    """The Path of the folder for kernels of the sources below a package; given : folder that the user names."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        text = path.read_bytes()
        if MARK in text:
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + text)
    base = Path(given) if given else package / "__pycache__"
    if base.name.startswith(NAME):  # of the process that started this one
        base = base.parent
    return base / (NAME + digest.hexdigest()[:12])


def keep_kernels_apart():
    """Tell numba, of this process and of those that it starts."""
    folder = str(folder_of_kernels(given=os.environ.get("NUMBA_CACHE_DIR")))
    os.environ["NUMBA_CACHE_DIR"] = folder
    if "numba" in sys.modules:  # it has read its environment
        sys.modules["numba"].config.CACHE_DIR = folder
