"""Kill the real stages in the middle (SIGKILL), run Snakemake again, compare with an undisturbed run.

    python benchmarks/killed.py

Runs a short demo twice in temporary folders, about five minutes on 2 cores, and prints a table.
"""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from runs import digests, half_written, job_of, snakemake

FRAMES = 200
KILLS = [("average3d.log", "lattice path 0"), ("window3d.log", "round 1")]


def start(folder):
    """Snakemake at work in a folder, as a process."""
    command = snakemake(folder, "--rerun-incomplete", config=f"demo={{state_frames: {FRAMES}}}")
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(folder, name, words):
    """Run until a log of that name says `words`, then kill its job; returns Snakemake's exit code."""
    process = start(folder)
    while process.poll() is None:
        for log in (folder / "logs").rglob(name):
            if words in log.read_text(errors="replace"):
                pid = job_of(log, besides=(process.pid,))
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                    return process.wait()
        time.sleep(0.05)
    return process.returncode


def main():
    """Print what became of each kill."""
    with tempfile.TemporaryDirectory() as scratch:
        whole, broken = Path(scratch) / "whole", Path(scratch) / "broken"
        whole.mkdir(), broken.mkdir()
        assert start(whole).wait() == 0
        print("| killed | exit code | left half-written |\n|---|---|---|")
        for name, words in KILLS:
            code = killed(broken, name, words)
            left = ", ".join(half_written(broken)) or "nothing"
            print(f"| {name.removesuffix('.log')} | {code} | {left} |", flush=True)
        assert start(broken).wait() == 0
        one, other = (digests(folder, leave_out=("timings", "report")) for folder in (whole, broken))
        differ = [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]
        print(
            f"\n{len(one)} files of results; different after the kills: {', '.join(sorted(differ)) or 'none'}"
        )


if __name__ == "__main__":
    main()
