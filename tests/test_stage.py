"""A function as a job of Snakemake: log, threads, errors, provenance, outputs whole or not at all."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from perrin import stage

MODULE = """
import ctypes
import logging
import numba
import numpy as np
import scipy.fft
import threadpoolctl
from perrin.files.errors import InputError
from perrin.files.tables import write_table
from perrin.progress import progress


def good(*, numbers, doubled, gain, seed):
    print("said on stdout")
    ctypes.CDLL(None).puts(b"said by C")
    ctypes.CDLL(None).fflush(None)
    logging.getLogger("perrin").info("said by the logger")
    for _ in progress([1, 2], "steps", every_s=0):
        pass
    pools = {kind: set() for kind in ("openmp", "blas")}
    for pool in threadpoolctl.threadpool_info():
        pools[pool["user_api"]].add(pool["num_threads"])
    np.dot(np.ones((4, 4)), np.ones((4, 4)))
    assert pools["blas"] == {1} and pools["openmp"] <= {2}, pools
    assert scipy.fft.get_workers() == 2
    assert numba.get_num_threads() == min(2, numba.config.NUMBA_NUM_THREADS)
    write_table(doubled, {"x": [gain * float(open(numbers).read())]}, {"x": ("", "twice the number")})


def refuses(*, numbers, doubled, gain, seed):
    write_table(doubled, {"x": [1]}, {"x": ("", "half-written")})
    raise InputError("numbers.txt: 3 is odd;\\n give an even one")


def fills(*, numbers, doubled, gain, seed):
    write_table(doubled, {"x": [1]}, {"x": ("", "half-written")})
    raise OSError(28, "No space left on device", "out.mrc")


def cuts(*, numbers, doubled, gain, seed):
    raise OSError("1105920 requested and 101120 written")


def breaks(*, numbers, doubled, gain, seed):
    write_table(doubled, {"x": [1]}, {"x": ("", "half-written")})
    return {}["nothing"]


def forgets(*, numbers, doubled, gain, seed):
    pass


def swells(*, numbers, doubled, gain, seed):
    raise MemoryError("Unable to allocate 9 TiB")
"""


class Named(SimpleNamespace):
    """As much of Snakemake's named lists as a stage sees."""

    def items(self):
        return vars(self).items()

    def __iter__(self):
        return iter(vars(self).values())


@pytest.fixture
def job(tmp_path, monkeypatch):
    (tmp_path / "fake_stage.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "fake_stage", raising=False)
    (tmp_path / "numbers.txt").write_text("4")
    return SimpleNamespace(
        rule="double",
        wildcards=["demo"],
        threads=2,
        input=Named(numbers=str(tmp_path / "numbers.txt")),
        output=Named(doubled=str(tmp_path / "out" / "x.csv"), provenance=str(tmp_path / "out" / "p.json")),
        params=SimpleNamespace(cfg={"gain": 2.0, "seed": 7}, code={"fake_stage": "abcd1234"}),
        log=[str(tmp_path / "logs" / "double.log")],
        resources={"mem_mb": 1000},
    )


def log_of(job):
    return Path(job.log[0]).read_text()


def test_a_good_stage_logs_all_channels_and_leaves_provenance(job, capfd):
    """Would catch output of C code or of the logger that misses the log, and threads that are not held."""
    stage.run(job, "fake_stage.good")
    text = log_of(job)
    for words in ("said on stdout", "said by C", "said by the logger", "steps: 1 of 2", "done in"):
        assert words in text
    assert Path(job.output.doubled).read_text() == "x\n8\n"
    record = json.loads(Path(job.output.provenance).read_text())
    assert record["config"] == {"gain": 2.0, "seed": 7} and record["seed"] == 7
    assert record["code"] == {"fake_stage": "abcd1234"} and record["stage"] == "double"
    assert record["inputs"]["numbers"]["bytes"] == 1
    out, err = capfd.readouterr()
    assert out == "" and err == ""
    print("the streams are back")
    assert capfd.readouterr().out == "the streams are back\n"


@pytest.mark.parametrize(
    ("function", "sentence", "traceback"),
    [
        ("refuses", "double demo: numbers.txt: 3 is odd; give an even one", False),
        ("swells", "double demo: ran out of memory", False),
        ("fills", "double demo: out.mrc: the disk is full; make room", True),
        ("cuts", "double demo: output: the disk is full; make room", True),
        ("breaks", "double demo: failed unexpectedly; the traceback is in its log", True),
        ("forgets", "double demo: failed unexpectedly", True),
    ],
)
def test_a_failure_is_a_sentence_an_exit_code_and_no_files(job, capfd, function, sentence, traceback):
    """Would catch a traceback shown for a user's slip, one hidden for ours, and half-written outputs."""
    with pytest.raises(SystemExit) as ended:
        stage.run(job, f"fake_stage.{function}")
    assert ended.value.code == 1
    err = capfd.readouterr().err
    assert f"error: {sentence}" in err and "Traceback" not in err
    assert err.strip().count("\n") == 0
    assert sentence in log_of(job)
    assert ("Traceback" in log_of(job)) == traceback
    assert list(Path(job.output.doubled).parent.glob("*")) == []


def test_an_import_that_fails_is_in_the_log(job, capfd):
    """Would catch a missing package that leaves an empty log behind."""
    with pytest.raises(SystemExit):
        stage.run(job, "fake_stage_that_is_not_there.work")
    assert "ModuleNotFoundError" in log_of(job)
