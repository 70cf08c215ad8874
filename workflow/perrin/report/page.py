"""Stage `report`: pages that say what was found and whether to believe it, and open without a network.

The index says it of all trajectories; each has a page of its own; the figures lie beside them as files.
"""

import json
import logging
import os
from functools import cache, partial
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from perrin.files.atomic import plain, write_text
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.shipped import shipped
from perrin.progress import progress
from perrin.report import words
from perrin.report.figures import order_and_size
from perrin.report.saved import save_all
from perrin.report.tables import link, shown, table
from perrin.report.trajectory import trajectory
from perrin.version import VERSION
from perrin.workers import each

log = logging.getLogger("perrin")

# templates, captions, style and the 3D view, which the rule takes into its digests
SHOWN = shipped("report")
NOWHERE = Path("/nonexistent")
TOGETHER = {
    "trajectory": "trajectory",
    "category": "kind of dynamics",
    "category_probability": "its probability",
    "verdict": "its verdict",
    "states": "states",
    "failed": "failed",
    "duration_s": "duration (s)",
    "first_atoms": "atoms first",
    "last_atoms": "atoms last",
    "net_change_pct": "change (%)",
    "net_per_s": "net (1/s)",
    "fraction_cn_gt8_first": "CN > 8 first",
    "fraction_cn_gt8_last": "CN > 8 last",
    "crystallinity_mean": "crystallinity",
    "core_share_last": "core share",
}


def report(
    *, states_table, trajectories_table, index, pages, figures, results, rows, truth, whole_up_to,
    picture_px, picture_quality, film_px, slice_px, most_atoms, most_rows, match_A, failures=None,
):  # fmt: skip
    """Write the report: an index, a page a trajectory, and the figures as files.

    states_table, trajectories_table : csv of all states and all trajectories (stage summary)
    index : HTML file to write; pages : folder for NAME.html; figures : folder for NAME/FIGURE.svg, .csv
    results : folder below which the results of all trajectories lie
    rows : list of the sample sheet's rows as dicts (name, element, frame_rate_hz, movie, ...)
    truth : {trajectory: folder of the true frames and atoms} of simulated movies
    whole_up_to : an index of at most so many trajectories holds their pages too, so that it can be sent as one file
    picture_px, picture_quality : longest edge [px] and WebP quality of the pictures
    film_px : edge of a class average; slice_px : edge of one slice of a map [px]
    most_atoms : windows with more atoms have no 3D view; most_rows : longest table shown
    match_A : distance within which a found and a true atom are the same
    failures : {trajectory: why} of those that did not get to their end

    A trajectory or window that failed is listed with its reason and never drawn as a structure; files that are not
    there leave their part of the page out, and a trajectory whose files cannot be read does not stop the others.
    """
    settings = {
        "picture_px": picture_px, "picture_quality": picture_quality, "film_px": film_px, "slice_px": slice_px,
        "most_atoms": most_atoms, "most_rows": most_rows, "match_A": match_A,
    }  # fmt: skip
    whole = len(rows) <= whole_up_to
    style = (SHOWN / "style.css").read_text(encoding="utf-8")
    paths = {row["name"]: Path(pages) / f"{row['name']}.html" for row in rows}
    to_page = {name: link_to(path, index) for name, path in paths.items()}
    shared = {"pages": to_page, "elements": sorted({look_up(row["element"]).symbol for row in rows}),
              "version": VERSION, "names": [row["name"] for row in rows], "failures": failures or {}}  # fmt: skip
    write = partial(
        _write, paths=paths, index=index, figures=Path(figures), results=Path(results), truth=truth,
        shared=shared, style=style, settings=settings, whole=whole,
    )  # fmt: skip
    found = list(progress(each(write, rows), "trajectories shown", len(rows)))
    states, every = table(states_table), table(trajectories_table)
    several = len(found) > 1
    page = shared | {
        "trajectories": found,
        "whole": whole,
        "alone": False,
        "base": "",
        "verdicts": {v: sum(t["verdict"] == v for t in found) for v in words.ORDER},
        "unfinished": [name for name in shared["names"] if name in shared["failures"]],
        "together": shown(trajectories_table, every, TOGETHER, max(most_rows, len(found)), index),
        "states_link": link(states_table, index),
        "order": order_and_size(states, shared["names"]) if several and states is not None else None,
    }
    if page["order"] is not None:
        save_all(Path(figures), {"crystallinity_by_size": page["order"]}, style)
    text = render(page)
    write_text(index, text)
    log.info("%s: %d trajectories, %.1f MB", index, len(found), len(text.encode()) / 1e6)


def _write(row, *, paths, index, figures, results, truth, shared, style, settings, whole):
    """Write a trajectory's page and figures; returns what the index shows of it."""
    name = row["name"]
    if name in shared["failures"]:
        one = empty(row, shared["failures"][name], index, settings)
    else:
        one = _read(results, row, truth.get(name), index, settings)
    folder = figures / name
    saved = save_all(folder, one.pop("figures", {}), style)
    one["saved"] = [{"name": file, "link": link_to(folder / file, index)} for file in saved]
    base = link_to(index, paths[name])
    alone = {"trajectories": [one], "whole": True, "alone": True, "together": None, "order": None,
             "verdicts": {one["verdict"]: 1}, "states_link": None, "unfinished": [],
             "base": base.removesuffix(Path(index).name), "back": base}  # fmt: skip
    write_text(paths[name], render(alone | shared))
    return one if whole else light(one)


def _read(results, row, truth_folder, index, settings):
    """What the page shows of a trajectory; of one whose files cannot be read, that and why."""
    try:
        return trajectory(results, row, truth_folder, index, settings)
    except (InputError, OSError, ValueError, KeyError, IndexError, TypeError) as error:
        log.exception("%s", row["name"])
        said = " ".join(str(error).split()) or type(error).__name__
        why = f"its results cannot be read ({said}); delete them and run again"
        return empty(row, why, index, settings)


def empty(row, why, index, settings):
    """A trajectory of which nothing is known but why."""
    return trajectory(NOWHERE, row, None, index, settings) | {"verdict": "failed", "why": why}


def light(one):
    """What an index with many trajectories keeps of one: its words, its numbers over time and its atoms in small."""
    kept = (
        "name",
        "verdict",
        "why",
        "reason",
        "found",
        "category",
        "first",
        "portraits",
        "truth",
        "counts",
        "atoms",
    )
    return {key: one[key] for key in kept}


def link_to(path, page):
    """Where a file, which need not be there yet, lies as seen from a page."""
    return Path(os.path.relpath(path, Path(page).parent)).as_posix()


def render(page, folder=SHOWN, other=None):
    """The page's text from what it shows (dict); folder, other as in prepared()."""
    return prepared(folder, other)(page)


@cache
def prepared(folder=SHOWN, other=None):
    """render(dict of what a page shows) -> text, from templates, captions, style and scripts of a folder.

    other : folder with a page.html and captions.yaml that go before those of the folder; it shares all the rest
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*([other] if other else []), folder / "templates"]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"number": words.number, "data": data, "mark": words.MARKS.get}
    environment.globals |= {"plural": words.plural, "interval": words.interval}
    captions = {}
    for place in (folder, *([other] if other else [])):
        captions |= yaml.safe_load((place / "captions.yaml").read_text(encoding="utf-8"))
    assets = {
        name: Markup((folder / file).read_text(encoding="utf-8"))
        for name, file in (("style", "style.css"), ("viewer", "viewer.js"), ("behaviour", "page.js"))
    }
    template = environment.get_template("page.html")
    return lambda page: template.render(captions=captions, **assets, **page)


def data(value):
    """A value as JSON that may stand within a <script> element."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c"))
