"""Killed in the middle and started again: it goes on, and the result is the same."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from runs import new_folder, ran

SHEET = ("--config", "trajectories=sheet.tsv")
ROWS = ("one\tone.mrc\t400\tPt\tbright", "two\ttwo.mrc\t400\tAu\tdark")


def contents(folder):
    """{path: bytes} of all results; provenance and timings hold times, which differ."""
    results = folder / "results"
    files = [path for path in results.rglob("*") if path.is_file() and "timings" not in path.parts]
    return {p.relative_to(results): p.read_bytes() for p in files if not p.name.endswith(".provenance.json")}


def started(project, folder, output):
    """Snakemake begun in a process group of its own, and the job that is half through writing an output."""
    (folder / "pause").write_text(output)
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--cores", "2"]
    with open(folder / "said", "w") as said:
        process = subprocess.Popen(
            [*command, "--directory", str(folder), *SHEET],
            cwd=folder,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    waited = time.monotonic() + 120
    while not (folder / "paused").exists() or not (folder / "paused").read_text():
        assert time.monotonic() < waited and process.poll() is None, (folder / "said").read_text()
        time.sleep(0.1)
    return process, int((folder / "paused").read_text())


@pytest.mark.parametrize(
    "output",
    ["results/one/average3d/map.mrc", "results/one/windows/f000100-000199/map.mrc"],
    ids=["average3d", "window"],
)
def test_a_killed_job_is_done_again(project, snakemake, finished, tmp_path, output):
    """Would catch half a file taken for a whole one; the other trajectory must not notice."""
    folder = new_folder(tmp_path / "run", *ROWS)
    process, job = started(project, folder, output)
    os.kill(job, signal.SIGKILL)
    assert process.wait(timeout=120) == 1
    assert (folder / "results/two/dynamics/category.json").exists()
    assert not (folder / "results/report/index.html").exists()
    (folder / "pause").unlink()
    code, text = snakemake(folder, *SHEET)
    assert code == 0, text
    assert "track" not in ran(text) and ran(text)["average3d" if "average3d" in output else "window3d"] == 1
    assert contents(folder) == contents(finished[0])


def test_snakemake_killed_with_all_its_jobs(project, snakemake, finished, tmp_path):
    """Would catch a run that cannot be taken up after a power cut: unlock, the same command, the same result."""
    output = "results/two/average3d/poses.star"
    folder = new_folder(tmp_path / "run", *ROWS)
    process, job = started(project, folder, output)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    with contextlib.suppress(ProcessLookupError):  # a job in a group of its own
        os.kill(job, signal.SIGKILL)
    assert (folder / output).read_text() == "hal"
    (folder / "pause").unlink()
    assert snakemake(folder, "--unlock", *SHEET)[0] == 0
    code, text = snakemake(folder, *SHEET)
    assert code == 0, text
    assert ran(text)["average3d"] >= 1 and ran(text).get("track", 0) <= 1
    assert contents(folder) == contents(finished[0])
