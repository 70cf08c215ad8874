"""What a movie holds, in a short text: it tells a movie that was replaced from one that was only touched or copied.

Movies are too large to be read whole before every run, and their dates say nothing of their content.
"""

import hashlib
from pathlib import Path

BLOCK = 65536
SAMPLES = 64


def fingerprint(path):
    """Hex digest of a file's size and of 64 blocks spread over it, first and last included.

    Of a folder: of all its files' names and sizes, and of the first block of 64 of them. Another recording differs in
    every block by its noise; a change of some frames between the blocks that leaves the size as it was goes unseen.
    None where nothing is there.
    """
    path = Path(path)
    content = hashlib.sha256()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        for file in files:
            content.update(f"{file.relative_to(path).as_posix()}\t{file.stat().st_size}\n".encode())
        for file in _spread(files):
            with open(file, "rb") as opened:
                content.update(opened.read(BLOCK))
    elif path.is_file():
        size = path.stat().st_size
        content.update(f"{size}\n".encode())
        with open(path, "rb") as opened:
            for number in _spread(range(-(-size // BLOCK))):
                opened.seek(number * BLOCK)
                content.update(opened.read(BLOCK))
    else:
        return None
    return content.hexdigest()[:16]


def _spread(items):
    """At most SAMPLES of a sequence, evenly, first and last included."""
    if len(items) <= SAMPLES:
        return list(items)
    return [items[round(k * (len(items) - 1) / (SAMPLES - 1))] for k in range(SAMPLES)]
