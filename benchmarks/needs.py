"""What jobs ask for against what they took: the table of docs/results-running.md, from the provenance of finished runs.

    PYTHONPATH=workflow python benchmarks/needs.py RESULTS/NAME ...

Peaks and CPU seconds are those that the jobs measured themselves (the highest the process ever held, threads and
all); Snakemake's own benchmark files look now and then and miss short peaks. Prints a row a stage: the least of memory
asked (without that of Snakemake itself) over memory taken of all its jobs is what the margin is for.
"""

import sys
from pathlib import Path

from perrin import needs
from perrin.files.atomic import read_json
from perrin.files.stacks import stack_info


def main(folders):
    """Print the table."""
    found = {stage: [] for stage in needs.NEEDS}
    for folder in map(Path, folders):
        (frames, box, _), _ = stack_info(folder / "track/particle.mrcs")
        for path in folder.rglob("*.provenance.json"):
            facts = read_json(path)
            if facts["stage"] in found:
                window = facts["config"].get("window", path.parent.name)
                size = needs.stack_mb(_length(window) if "windows" in path.parts else frames, box)
                found[facts["stage"]].append((size, facts["peak_memory_MB"], facts["cpu_s"]))
    header = ("stage", "jobs", "stack MB", "peak MB", "asked MB", "asked / peak, least", "CPU s", "asked min")
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for stage, jobs in found.items():
        if jobs:
            asked = [needs.memory_mb(stage, size) - needs.LAUNCH_MB for size, _, _ in jobs]
            time = [needs.runtime_min(stage, size) for size, _, _ in jobs]
            ratio = min(a / peak for a, (_, peak, _) in zip(asked, jobs))
            size, peak, cpu = zip(*jobs)
            cells = [stage, str(len(jobs)), _range(size), _range(peak), _range(asked), f"{ratio:.2f}"]
            print("| " + " | ".join([*cells, _range(cpu), _range(time)]) + " |")


def _length(window):
    """Frames of a window, from its name."""
    first, last = window[1:].split("-")
    return int(last) - int(first) + 1


def _range(values):
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return low if low == high else f"{low}-{high}"


if __name__ == "__main__":
    main(sys.argv[1:])
