"""Working folders for whole workflows, and what Snakemake said of its jobs."""

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
HEADER = "name\tmovie\tframe_rate_hz\telement\tpolarity\n"


def jobs(text):
    """{rule: number} of the job table that Snakemake prints first."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", text, re.M | re.S)
    return {line.split()[0]: int(line.split()[1]) for line in table[1].splitlines()} if table else {}


def ran(text):
    """{rule: number} of the jobs that were begun."""
    count = {}
    for rule in re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):", text, re.M):
        count[rule] = count.get(rule, 0) + 1
    return count


def new_folder(path, *rows):
    """A working folder with a sample sheet of its own, `sheet.tsv`."""
    path.mkdir()
    for row in rows:
        movie = path / row.split("\t")[1]
        if "missing" not in movie.name:
            movie.write_text("movie")
    (path / "sheet.tsv").write_text(HEADER + "".join(row + "\n" for row in rows))
    return path
