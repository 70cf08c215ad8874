"""Work in several processes: the same answers in the same order, and nobody is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perrin.files.errors import InputError
from perrin.workers import allowed, each

WORKFLOW = Path(__file__).resolve().parents[1] / "workflow"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all is done in one process")
SLOW = """
import os, time
from perrin.workers import allowed, each
def work(item):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once, or lines of two processes mix
    time.sleep(0.2)
with allowed(2):
    list(each(work, list(range(1000))))
"""


def where(item):
    """The item, later the smaller it is, and the process."""
    time.sleep(0.05 * (4 - item))
    return item, os.getpid()


def refuse(item):
    raise InputError(f"{item}: no")


@pytest.mark.parametrize("number", [1, 3])
def test_answers_come_in_order(number):
    """Would catch answers in the order in which they are ready."""
    with allowed(number):
        assert [item for item, _ in each(where, list(range(5)))] == list(range(5))


@LINUX
def test_so_many_processes_as_are_allowed():
    """Would catch work that stays in one process, or takes more than the stage may use."""
    with allowed(3):
        assert len({process for _, process in each(where, list(range(5)))} - {os.getpid()}) == 3
    assert {process for _, process in each(where, list(range(2)))} == {os.getpid()}


@pytest.mark.parametrize("number", [1, 2])
def test_an_error_arrives_as_it_is(number):
    """Would catch a sentence on the input that becomes another error on its way between processes."""
    with allowed(number), pytest.raises(InputError, match="^0: no$"):
        list(each(refuse, list(range(5))))


@LINUX
def test_nobody_waits_for_a_parent_that_was_killed():
    """Would catch processes that hold memory for ever after a job was killed."""
    job = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(WORKFLOW)},
    )
    workers = set()
    while len(workers) < 2:
        workers.add(int(job.stdout.readline()))
    job.send_signal(signal.SIGKILL)
    job.wait()
    until = time.monotonic() + 20
    while any(map(runs, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(runs, workers))


def runs(process):
    """Whether a process is there and more than a record of its end."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
