"""What the scripts that disturb runs share: the command line, the jobs that it starts, the results that it leaves."""

import hashlib
import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


def snakemake(folder, *arguments, config, target=None, cores=2):
    """The command that runs the workflow in a folder; config : one NAME=VALUE; target : a file, None: the report."""
    found = [sys.executable, "-m", "snakemake", "-s", PROJECT / "Snakefile", "--directory", folder]
    found += ["--cores", cores, *arguments, "--config", config, *(["--", target] if target else [])]
    return [str(part) for part in found]


def job_of(log, besides=()):
    """Process id of the job that has a log open, None where there is none; besides : ids that are not looked at."""
    wanted = str(log.resolve())
    for entry in filter(lambda entry: entry.name.isdigit(), Path("/proc").iterdir()):
        try:
            if int(entry.name) not in besides and any(
                os.readlink(f) == wanted for f in (entry / "fd").iterdir()
            ):
                return int(entry.name)
        except OSError:
            continue
    return None


def digests(folder, leave_out=("timings",)):
    """{path: sha256} of the results, but for records of times and hidden files; leave_out : names of folders."""
    files = [path for path in (folder / "results").rglob("*") if path.is_file()]
    kept = [
        path
        for path in files
        if "provenance" not in path.name and path.name[0] != "." and not set(leave_out) & set(path.parts)
    ]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept
    }


def half_written(folder):
    """Files that a killed writer left, whole-or-not-at-all notwithstanding."""
    return sorted(path.name for path in (folder / "results").rglob(".*~*"))
