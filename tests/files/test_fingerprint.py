"""The short text by which a replaced movie is told from a touched one."""

import os

import numpy as np

from perrin.files.fingerprint import BLOCK, SAMPLES, fingerprint


def test_content_counts_and_dates_do_not(tmp_path):
    """Would catch a movie that is analysed again because it was copied, or not again although it was replaced."""
    rng, path = np.random.default_rng(1), tmp_path / "movie.mrc"
    movie = rng.integers(0, 255, 200 * BLOCK + 17, dtype=np.uint8)
    path.write_bytes(movie.tobytes())
    first = fingerprint(path)
    os.utime(path, (1, 1))
    copy = tmp_path / "copy.mrc"
    copy.write_bytes(path.read_bytes())
    assert fingerprint(path) == fingerprint(copy) == first
    for place in (0, len(movie) - 1, round(30 * 200 / (SAMPLES - 1)) * BLOCK + 5):
        other = movie.copy()
        other[place] ^= 1
        path.write_bytes(other.tobytes())
        assert fingerprint(path) != first, place
    path.write_bytes(movie[:-1].tobytes())
    assert fingerprint(path) != first
    path.write_bytes(rng.integers(0, 255, len(movie), dtype=np.uint8).tobytes())
    assert fingerprint(path) != first


def test_folders_of_frames_and_nothing(tmp_path):
    """Would catch a frame added, renamed or exchanged in a folder that goes unseen."""
    assert fingerprint(tmp_path / "absent") is None
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(5):
        (folder / f"{k}.tif").write_bytes(bytes([k]) * 100)
    seen = [fingerprint(folder)]
    (folder / "4.tif").write_bytes(b"another frame of as many bytes".ljust(100))
    seen.append(fingerprint(folder))
    (folder / "4.tif").rename(folder / "5.tif")
    seen.append(fingerprint(folder))
    (folder / "6.tif").write_bytes(b"")
    seen.append(fingerprint(folder))
    assert len(set(seen)) == 4
