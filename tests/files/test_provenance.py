"""Provenance says what a result was made of, and nothing of whose machine it was."""

import getpass
import hashlib
import platform

import numpy as np

from perrin.files import provenance
from perrin.files.atomic import read_json
from perrin.version import VERSION


def test_what_is_written(tmp_path, monkeypatch):
    """Would catch a fact missing from the record, or a host name, a user name or a folder of the machine in it."""
    movie = tmp_path / "movie.mrc"
    movie.write_bytes(b"frames")
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "frame_1.tif").write_bytes(b"1")
    since = provenance.usage()
    np.linalg.svd(np.random.default_rng(0).normal(size=(300, 300)))
    path = tmp_path / "provenance.json"
    provenance.write_provenance(
        path,
        stage="track",
        inputs={"movie": movie, "others": [movie, folder]},
        config={"box_px": 96},
        digests={"perrin.frames.track": "abc"},
        since=since,
        seed=7,
        threads=2,
    )
    record = read_json(path)
    assert record["stage"] == "track"
    assert record["perrin"] == VERSION
    assert record["code"] == {"perrin.frames.track": "abc"}
    assert record["config"] == {"box_px": 96}
    assert record["seed"] == 7
    assert record["inputs"]["movie"]["checksum"] == hashlib.sha256(b"frames").hexdigest()
    assert record["inputs"]["others"][1]["files"] == 1
    assert record["packages"]["numpy"] == np.__version__
    assert record["machine"]["threads"] == 2
    assert record["machine"]["cores"] >= 1
    assert record["wall_s"] > 0
    assert record["cpu_s"] > 0
    assert 20 < record["peak_memory_MB"] < 1e6
    text = path.read_text()
    assert str(tmp_path) not in text
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_checksum_of_large_files_reads_head_and_tail_only(tmp_path, monkeypatch):
    """Would catch a movie of 100 GB being read for its checksum, or changes at its ends or in size not seen."""
    monkeypatch.setattr(provenance, "WHOLE_LIMIT", 1000)
    monkeypatch.setattr(provenance, "PIECE", 100)
    path = tmp_path / "movie.mrc"
    content = bytearray(np.random.default_rng(0).bytes(5000))

    def check():
        path.write_bytes(content)
        return provenance.checksum(path)

    first = check()
    assert "first and last" in first["method"]
    for place, seen in [(0, True), (4999, True), (2500, False)]:
        content[place] ^= 1
        assert (check()["checksum"] != first["checksum"]) == seen
        content[place] ^= 1
    content.append(0)
    assert check()["checksum"] != first["checksum"]


def test_small_files_are_read_whole(tmp_path):
    """Would catch a change in the middle of a small input not seen."""
    path = tmp_path / "a"
    content = bytearray(3_000_000)
    path.write_bytes(content)
    first = provenance.checksum(path)
    assert first == {"bytes": 3_000_000, "method": "sha256", "checksum": hashlib.sha256(content).hexdigest()}
