"""What a hundred trajectories cost Snakemake, the summary and the report: a finished one is copied so many times.

    python benchmarks/scale.py results/demo --count 100

Copies are hard links but for the tables that hold the trajectory's name; all is in a temporary folder. Prints a table.
"""

import argparse
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import runs

NAMED = ("dynamics/states.csv", "windows/*/state.csv")
LEFT_OUT = shutil.ignore_patterns("movie", "truth")


def multiply(source, folder, count):
    """`count` finished trajectories np000, np001, ... below folder/results, and their sample sheet."""
    first = folder / "results/np000"
    shutil.copytree(source, first, ignore=LEFT_OUT)
    rows = ["name\tmovie\tpixel_size_A\tframe_rate_hz\telement\tpolarity"]
    (folder / "movie.mrc").write_bytes(b"stands for a movie")
    os.utime(folder / "movie.mrc", (0, 0))
    for k in range(count):
        name = f"np{k:03d}"
        rows.append(f"{name}\tmovie.mrc\t0.358\t400\tPt\tbright")
        other = folder / "results" / name
        if k:
            shutil.copytree(first, other, copy_function=os.link)
        for pattern in NAMED:
            for path in other.glob(pattern):
                text = path.read_text(encoding="utf-8").replace(f",{source.name},", f",{name},")
                path.unlink()
                path.write_text(text, encoding="utf-8")
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")


def snakemake(folder, *arguments, cores=1):
    """(seconds, CPU seconds of all processes, exit code, what it said)."""
    command = runs.snakemake(folder, *arguments, config="trajectories=sheet.tsv", cores=cores)
    before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - since, spent, done.returncode, done.stdout + done.stderr


def of_job(folder, name):
    """(seconds, CPU seconds, peak MB) of a job, from its log: Snakemake's own samples miss half of the CPU."""
    said = r"done in ([\d.]+) s \(([\d.]+) s of CPU\), at most (\d+) MB"
    return tuple(map(float, re.findall(said, (folder / f"logs/{name}.log").read_text())[-1]))


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="results of one finished trajectory")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--cores", type=int, default=1, help="for summary and report")
    parser.add_argument("--keep", type=Path, help="work here, and leave it")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    try:
        run(options.source, folder, options.count, options.cores)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def run(source, folder, count, cores):
    """Measure in a folder."""
    empty = folder / "empty"
    empty.mkdir()
    multiply(source, folder, count)
    shutil.copy(folder / "sheet.tsv", empty)
    shutil.copy(folder / "movie.mrc", empty)
    print(f"| {count} trajectories | wall s | CPU s |\n|---|---|---|", flush=True)
    wall, cpu, code, said = snakemake(empty, "-n", "--quiet")
    assert code == 0, said[-2000:]
    print(f"| dry run before anything is done | {wall:.1f} | {cpu:.1f} |", flush=True)
    # outputs count as made by this code and these settings from here on, as after a run
    wall, cpu, code, said = snakemake(folder, "--touch", "--quiet")
    assert code == 0, said[-2000:]
    print(f"| (all outputs taken as made: `--touch`) | {wall:.1f} | {cpu:.1f} |", flush=True)
    wall, cpu, code, said = snakemake(folder, cores=cores)
    assert code == 0, said[-2000:]
    print(f"| summary and report, Snakemake included | {wall:.1f} | {cpu:.1f} |")
    for job in ("summary", "report"):
        print("| of that {} | {:.1f} | {:.1f} |".format(job, *of_job(folder, job)[:2]), flush=True)
    wall, cpu, code, said = snakemake(folder, "-n")
    assert "Nothing to be done" in said, said[-2000:]
    print(f"| dry run when all is done: DAG, digests, settings, dates | {wall:.1f} | {cpu:.1f} |", flush=True)
    index = folder / "results/report/index.html"
    pages = [p.stat().st_size for p in (folder / "results/report/trajectories").iterdir()]
    sizes = f"index.html {index.stat().st_size / 1e6:.2f} MB, a page {sum(pages) / len(pages) / 1e6:.2f} MB"
    print(f"\n{sizes}; report at most {of_job(folder, 'report')[2]:.0f} MB of memory", flush=True)


if __name__ == "__main__":
    main()
