"""Files appear whole or not at all."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from perrin.files.atomic import read_json, whole, write_json, write_text


def test_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    """Would catch a good result overwritten by half a new one, or temporary files left behind."""
    path = tmp_path / "deep" / "result.txt"
    write_text(path, "old\n")
    for error in (ValueError, KeyboardInterrupt, SystemExit):
        with pytest.raises(error), whole(path) as temporary:
            temporary.write_text("half")
            raise error
    assert path.read_text() == "old\n"
    assert [file.name for file in path.parent.iterdir()] == ["result.txt"]


def test_temporary_file_is_beside_with_the_same_suffix(tmp_path):
    """Would catch a rename across file systems, or numpy and matplotlib adding a suffix of their own."""
    with whole(tmp_path / "spectrum.npz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".npz"
        np.savez(temporary, x=np.arange(3))
        assert not (tmp_path / "spectrum.npz").exists()
    assert np.load(tmp_path / "spectrum.npz")["x"].tolist() == [0, 1, 2]


def test_results_have_the_permissions_of_ordinary_files(tmp_path):
    """Would catch results that only their owner may read, as temporary files are made."""
    ordinary, written = tmp_path / "a", tmp_path / "b"
    ordinary.write_text("")
    write_text(written, "")
    assert os.stat(written).st_mode == os.stat(ordinary).st_mode


def test_killed_process_leaves_no_result(tmp_path):
    """Would catch half a result after SIGKILL, which Snakemake would take for whole, or litter that stays."""
    path = tmp_path / "result.mrcs"
    code = (
        "import os, signal, numpy as np\n"
        "from perrin.files.stacks import stack_writer\n"
        f"with stack_writer({str(path)!r}, (9, 8, 8), 1.0) as stack:\n"
        "    stack.append(np.zeros((5, 8, 8)))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    workflow = Path(__file__).resolve().parents[2] / "workflow"
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(workflow)})
    assert ended.returncode == -signal.SIGKILL
    assert not path.exists()
    assert all(file.name.startswith(".") for file in tmp_path.iterdir())
    write_text(path, "the next attempt")
    assert [file.name for file in tmp_path.iterdir()] == ["result.mrcs"]


def test_json_of_numpy_values(tmp_path):
    """Would catch NaN in a JSON file, which is no JSON, and numpy numbers refused by the encoder."""
    path = tmp_path / "a.json"
    content = {
        "n": np.int64(3),
        "x": np.float32(0.5),
        "nan": np.nan,
        "list": np.array([1.0, np.inf]),
        "yes": np.bool_(True),
        "path": Path("a/b"),
        "nested": [{"k": (1, 2)}],
        "å": "å",
    }
    write_json(path, content)
    expected = {"n": 3, "x": 0.5, "nan": None, "list": [1.0, None], "yes": True, "path": "a/b"}
    expected |= {"nested": [{"k": [1, 2]}], "å": "å"}
    assert read_json(path) == expected
    assert "NaN" not in path.read_text()
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
