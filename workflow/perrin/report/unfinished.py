"""When a run ends with failures: a report of the trajectories that got to the end, which lists the others and why."""

import re
from pathlib import Path

from perrin.report.page import report
from perrin.states.summary import summary

SAID = re.compile(r"^\S+ E error: (?:[a-z_0-9]+ )?(.*)$", re.M)
NOT_DONE = "not done when the run ended"


def unfinished(rows, results, logs, truth, summary_settings, report_settings):
    """Write results/report/unfinished/ with index, pages, figures and tables; returns (index or None, failures).

    rows : of the sample sheet; results, logs : folders; truth : as in report()
    summary_settings, report_settings : config sections
    failures : {trajectory: why}, from the sentences in the logs of those that are not finished, or whose results are
        older than a failure; without any trajectory that is finished there is no index
    """
    results = Path(results)
    failures = {row["name"]: why for row in rows if (why := why_not(row["name"], results, Path(logs)))}
    good = [row["name"] for row in rows if row["name"] not in failures]
    if not good:
        return None, failures
    folder = results / "report/unfinished"
    tables = {f"{name}_table": folder / f"{name}.csv" for name in ("states", "trajectories")}
    summary(
        states=[results / name / "dynamics/states.csv" for name in good],
        categories=[results / name / "dynamics/category.json" for name in good],
        figure_png=folder / "summary.png", figure_svg=folder / "summary.svg", **tables, **summary_settings,
    )  # fmt: skip
    report(
        index=folder / "index.html", pages=folder / "trajectories",
        figures=folder / "figures", results=results, rows=rows, truth=truth, failures=failures, **tables,
        **report_settings,
    )  # fmt: skip
    return folder / "index.html", failures


def why_not(name, results, logs):
    """Why a trajectory has no results of its own, in one sentence; None where it has."""
    end = results / name / "dynamics/category.json"
    found = []
    for path in sorted((logs / name).rglob("*.log")):
        said = SAID.findall(path.read_text(encoding="utf-8", errors="replace"))
        if said and not (end.is_file() and end.stat().st_mtime >= path.stat().st_mtime):
            found.append((path.stat().st_mtime, f"{path.stem}: {said[-1].removeprefix(f'{name}: ')}"))
    if found:
        return min(found)[1]
    return None if end.is_file() and (results / name / "dynamics/states.csv").is_file() else NOT_DONE
