"""Kill the real stages in the middle (SIGKILL), run Snakemake again, compare with an undisturbed run.

    python benchmarks/killed.py

Runs a short demo twice in temporary folders, about five minutes on 2 cores, and prints a table.
"""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FRAMES = 200
KILLS = [("average3d.log", "lattice path 0"), ("window3d.log", "round 1")]


def start(folder):
    """Snakemake at work in a folder, as a process."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-s",
        PROJECT / "Snakefile",
        "--directory",
        folder,
        "--cores",
        "2",
    ]
    command += ["--rerun-incomplete", "--config", f"demo={{state_frames: {FRAMES}}}"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def digests(folder):
    """{path: sha256} of results, without what names times."""
    files = [p for p in sorted((folder / "results").rglob("*")) if p.is_file()]
    kept = [
        p
        for p in files
        if "provenance" not in p.name and "timings" not in p.parts and "report" not in p.parts
    ]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept}


def job_of(process, log):
    """Pid of the script that writes a log: a descendant of Snakemake that has it open."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != process.pid:
            try:
                if any(os.readlink(f) == str(log.resolve()) for f in (entry / "fd").iterdir()):
                    return int(entry.name)
            except OSError:
                continue
    return None


def killed(folder, name, words):
    """Run until a log of that name says `words`, then kill its job; returns Snakemake's exit code."""
    process = start(folder)
    while process.poll() is None:
        for log in (folder / "logs").rglob(name):
            if words in log.read_text(errors="replace"):
                pid = job_of(process, log)
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
            odd = [p.name for p in (broken / "results").rglob(".*~*")]
            print(f"| {name.removesuffix('.log')} | {code} | {', '.join(odd) or 'nothing'} |", flush=True)
        assert start(broken).wait() == 0
        one, other = digests(whole), digests(broken)
        differ = [path for path in one.keys() | other.keys() if one.get(path) != other.get(path)]
        print(
            f"\n{len(one)} files of results; different after the kills: {', '.join(sorted(differ)) or 'none'}"
        )


if __name__ == "__main__":
    main()
