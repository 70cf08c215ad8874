"""The real Snakefile and rules around stages that only write their files: what runs when, in seconds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs import PROJECT, new_folder

STAGE = '''
from perrin import act


def {name}(**arguments):
    """Stand in for the stage."""
    act.{kind}(**arguments)
'''
ACT = '''
import os
import time
from pathlib import Path

from perrin.files.errors import InputError


def pause(path):
    """Where the file `pause` names this output: write half of it, say who does, and wait to be killed."""
    if Path("pause").exists() and Path("pause").read_text() == path:
        Path(path).write_text("hal")
        Path("paused").write_text(str(os.getpid()))
        time.sleep(120)


def write(**arguments):
    """Write every output, which are the paths below results where nothing is yet."""
    movie = arguments.get("movie")
    if movie and not Path(movie).exists():
        raise InputError(f"{movie}: no such movie; correct the path")
    if movie and movie.endswith("broken.mrc"):
        raise InputError(f"{movie}: broken beyond repair; give another movie")
    for name, value in arguments.items():
        for path in value if isinstance(value, list) else [value]:
            if isinstance(path, str) and path.startswith("results/") and not Path(path).exists():
                pause(path)
                Path(path).mkdir() if name in ("figures", "pages") else Path(path).write_text(f"{name}\\n")


def write_together(**arguments):
    if arguments["movie"].endswith("broken.mrc"):
        raise InputError("broken beyond repair")
    for facts in arguments["facts"]:
        folder = Path(arguments["together"]) / Path(facts).parts[1]
        folder.mkdir(parents=True)
        (folder / "tracks.csv").write_text("tracks")


def write_windows(**arguments):
    write(**arguments)
    ends = [(0, 99), (100, 199), (200, 299)]
    if arguments["segments_override"]:
        rows = Path(arguments["segments_override"]).read_text().splitlines()[1:]
        ends = [tuple(map(int, row.split())) for row in rows]
    lines = ["window\\tfirst_frame\\tlast_frame"]
    lines += [f"f{a:06d}-{b:06d}\\t{a}\\t{b}" for a, b in ends]
    Path(arguments["windows"]).write_text("\\n".join(lines) + "\\n")
'''


def stages():
    """{module: [functions]} of every script."""
    found = {}
    for script in sorted((PROJECT / "workflow" / "scripts").glob("*.py")):
        if match := re.search(r'stage\.run\(snakemake, "(.*)\.(\w+)"\)', script.read_text()):
            found.setdefault(match[1], []).append(match[2])
    return found


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the project in which every stage is replaced by one that only writes its files."""
    home = tmp_path_factory.mktemp("perrin") / "home"
    ignore = shutil.ignore_patterns("__pycache__", "results")
    for name in ("rules", "config", "profiles", "envs"):
        shutil.copytree(PROJECT / name, home / name, ignore=ignore)
    shutil.copy(PROJECT / "Snakefile", home)
    for name in ("scripts", "report"):
        shutil.copytree(PROJECT / "workflow" / name, home / "workflow" / name)
    library = home / "workflow" / "perrin"
    (library / "files").mkdir(parents=True)
    for name in (
        "stage",
        "closure",
        "settings",
        "needs",
        "progress",
        "prune",
        "version",
        "compiled",
        "workers",
        "__init__",
    ):
        shutil.copy(PROJECT / "workflow" / "perrin" / f"{name}.py", library)
    shutil.copytree(
        PROJECT / "workflow" / "perrin" / "files", library / "files", dirs_exist_ok=True, ignore=ignore
    )
    (library / "act.py").write_text(ACT)
    for module, functions in stages().items():
        path = home / "workflow" / Path(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").write_text("")
        text = ""
        for function in functions:
            kind = {"segment": "write_windows", "track_together": "write_together"}.get(function, "write")
            text += STAGE.format(name=function, kind=kind)
        path.write_text(text)
    strain = library / "states" / "strain.py"
    strain.write_text('"""Strain."""\n\nLIMIT = 1\n')
    statistics = library / "states" / "statistics.py"
    statistics.write_text("import perrin.states.strain\n" + statistics.read_text())
    return home


@pytest.fixture(scope="session")
def snakemake(project):
    """run(folder, *arguments) -> (exit code, text): Snakemake of the copied project, at work in a folder."""

    def run(folder, *arguments, cores=2):
        command = [sys.executable, "-m", "snakemake", "--snakefile", project / "Snakefile"]
        command += ["--cores", str(cores), "--directory", folder, *arguments]
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=600
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture(scope="session")
def finished(snakemake, tmp_path_factory):
    """A folder in which the whole workflow ran: two trajectories, three windows each; and what it said."""
    folder = new_folder(
        tmp_path_factory.mktemp("work") / "run",
        "one\tone.mrc\t400\tPt\tbright",
        "two\ttwo.mrc\t400\tAu\tdark",
    )
    code, text = snakemake(folder, "--config", "trajectories=sheet.tsv")
    assert code == 0, text
    return folder, text
