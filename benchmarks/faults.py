"""What goes wrong on real machines, done to the real stages on a small movie, and what comes of it.

    python benchmarks/faults.py [NAME ...]

A movie of 120 frames is taken as far as its denoised frames, once undisturbed, then once a fault; results are compared
byte by byte. Prints a table. Full disks and read-only folders are file systems of their own and want root; they are
left out otherwise. About five minutes on 2 cores.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runs import PROJECT, digests, half_written, job_of, snakemake

sys.path.insert(0, str(PROJECT / "workflow"))

from perrin.simulate.demo import demo_spec  # noqa: E402
from perrin.simulate.write import write_movie  # noqa: E402

TARGET = "results/np1/denoise/denoised.mrcs"
HEADER = "name\tmovie\tpixel_size_A\tframe_rate_hz\telement\tpolarity\n"
ROW = "np1\tmovie.mrc\t0.358\t400\tPt\tbright\n"


def command(folder, *arguments):
    """Snakemake on the small movie."""
    return snakemake(folder, *arguments, config="trajectories=sheet.tsv", target=TARGET)


def run(folder, *arguments, **options):
    """(exit code, text) of a run to its end."""
    done = subprocess.run(command(folder, *arguments), capture_output=True, text=True, **options)
    return done.returncode, done.stdout + done.stderr


def begun(folder, log, words=""):
    """Snakemake begun in a process group of its own, once a stage's log holds some words."""
    process = subprocess.Popen(
        command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    path = folder / "logs/np1" / log
    while process.poll() is None and not (path.exists() and words in path.read_text(errors="replace")):
        time.sleep(0.02)
    return process


def sentence(text):
    """The line that tells the user what was wrong."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if "Write-protected" in line or "Read-only" in line] + [
        line for line in lines if line.startswith("error: ")
    ]
    return said[0][:180] if said else text.strip().splitlines()[-1][:180]


def ready(folder, movie):
    """A working folder with the movie and its sheet."""
    folder.mkdir(exist_ok=True)
    shutil.copy2(movie, folder / "movie.mrc")
    (folder / "sheet.tsv").write_text(HEADER + ROW)
    return folder


def again(folder, wanted):
    """What the same command makes of it afterwards."""
    code, text = run(folder)
    same = "the same results" if digests(folder) == wanted else "OTHER RESULTS"
    return same if code == 0 else f"FAILED: {sentence(text)}"


def job_killed(folder, wanted):
    process = begun(folder, "denoise.log")
    pid = None
    while pid is None and process.poll() is None:
        pid = job_of(folder / "logs/np1/denoise.log")
    os.kill(pid, signal.SIGKILL)
    left = f"exit code {process.wait()}, half-written: {', '.join(half_written(folder)) or 'nothing'}"
    return left, again(folder, wanted)


def snakemake_killed(folder, wanted):
    process = begun(folder, "track.log")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1)
    code, text = run(folder)
    left = f"its lock is left, and it says so: {'unlock' in text}" if code else "no lock left"
    run(folder, "--unlock")
    return left, again(folder, wanted)


def two_at_once(folder, wanted):
    process = begun(folder, "track.log")
    code, text = run(folder)
    left = f"the second: exit code {code}, {'locked' if 'lock' in text.lower() else sentence(text)}"
    left += f"; the first: exit code {process.wait()}"
    return left, again(folder, wanted)


def disk_full(folder, wanted):
    inside = folder / "results"
    inside.mkdir()
    mount("tmpfs", inside, "size=9m", kind="tmpfs")
    try:
        code, text = run(folder)
        left = f"exit code {code}: {sentence(text)}; half-written: {', '.join(half_written(folder)) or 'nothing'}"
        mount("tmpfs", inside, "remount,size=200m", kind="tmpfs")
        return left, again(folder, wanted)
    finally:
        subprocess.run(["umount", inside], check=True)


def read_only(folder, wanted):
    run(folder)
    (folder / "results/np1/denoise/denoised.mrcs").unlink()
    mount(folder / "results", folder / "results", "bind")
    mount("none", folder / "results", "remount,ro,bind")
    try:
        code, text = run(folder)
        left = f"exit code {code}: {sentence(text)}"
    finally:
        subprocess.run(["umount", folder / "results"], check=True)
    return left, again(folder, wanted)


def moved(folder, wanted):
    run(folder)
    other = folder.with_name("moved elsewhere")
    folder.rename(other)
    nothing = "Nothing to be done" in run(other, "-n")[1]
    other.rename(folder)
    shutil.rmtree(folder / ".snakemake")
    alone = "Nothing to be done" in run(folder, "-n")[1]
    return (
        f"whole folder moved: nothing to do {nothing}; .snakemake lost as well: nothing to do {alone}",
        again(folder, wanted),
    )


def movie_touched(folder, wanted):
    run(folder)
    os.utime(folder / "movie.mrc")
    text = run(folder, "-n")[1]
    return f"a dry run has nothing to do: {'Nothing to be done' in text}", again(folder, wanted)


def movie_replaced(folder, wanted):
    run(folder)
    before = (folder / "movie.mrc").stat()
    write_movie(demo_spec(60, seed=9), folder / "movie.mrc", folder / "other_truth")
    os.utime(folder / "movie.mrc", (before.st_atime, before.st_mtime))
    text = run(folder, "-n")[1]
    code, _ = run(folder)
    found = digests(folder)
    return f"same name, size and date; a dry run names track: {'rule track' in text}", (
        "all made anew" if code == 0 and found != wanted else "NOT SEEN"
    )


def mount(source, target, options, kind=None):
    subprocess.run(["mount", *(["-t", kind] if kind else []), "-o", options, source, target], check=True)


FAULTS = {
    "a job killed (SIGKILL)": job_killed,
    "Snakemake and all jobs killed (SIGKILL)": snakemake_killed,
    "two runs at once": two_at_once,
    "disk full while a stage writes": disk_full,
    "results folder read-only": read_only,
    "results moved to another place": moved,
    "movie touched": movie_touched,
    "movie replaced under the same name": movie_replaced,
}


def main():
    """Print a line for each fault."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        write_movie(demo_spec(60), scratch / "movie.mrc", scratch / "truth")
        whole = ready(scratch / "whole", scratch / "movie.mrc")
        code, text = run(whole)
        assert code == 0, text
        wanted = digests(whole)
        print("| fault | what was seen | after the same command once more |\n|---|---|---|", flush=True)
        for number, (name, fault) in enumerate(FAULTS.items()):
            if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
                continue
            if fault in (disk_full, read_only) and os.geteuid() != 0:
                print(f"| {name} | left out: wants root | |", flush=True)
                continue
            folder = ready(scratch / f"fault{number}", scratch / "movie.mrc")
            print(f"| {name} | {' | '.join(fault(folder, wanted))} |", flush=True)


if __name__ == "__main__":
    main()
