"""Stage `report`: one HTML file that says what was found and whether to believe it, and opens without a network."""

import json
import logging
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup

from perrin.files.atomic import plain, write_text
from perrin.files.elements import element as look_up
from perrin.files.shipped import shipped
from perrin.progress import progress
from perrin.report import figures, words
from perrin.report.tables import link, shown, table
from perrin.report.trajectory import trajectory
from perrin.version import VERSION

log = logging.getLogger("perrin")

# templates, captions, style and the 3D view, which the rule takes into its digests
SHOWN = shipped("report")
TOGETHER = {
    "trajectory": "trajectory",
    "verdict": "dynamics",
    "category": "kind",
    "category_probability": "its probability",
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
    *, states_table, trajectories_table, index, results, rows, truth,
    picture_px, picture_quality, slice_px, most_atoms, most_rows, match_A,
):  # fmt: skip
    """Write the report.

    states_table, trajectories_table : csv of all states and all trajectories (stage summary)
    index : HTML file to write
    results : folder below which the results of all trajectories lie
    rows : list of the sample sheet's rows as dicts (name, element, frame_rate_hz, movie, ...)
    truth : {trajectory: folder of the true frames and atoms} of simulated movies
    picture_px, picture_quality : longest edge [px] and WebP quality of the pictures
    slice_px : edge of one slice of a map [px]
    most_atoms : windows with more atoms have no 3D view; most_rows : longest table shown
    match_A : distance within which a found and a true atom are the same

    A trajectory or window that failed is listed with its reason and never drawn as a structure; files that are not
    there leave their part of the page out.
    """
    settings = {
        "picture_px": picture_px, "picture_quality": picture_quality, "slice_px": slice_px,
        "most_atoms": most_atoms, "most_rows": most_rows, "match_A": match_A,
    }  # fmt: skip
    found = [
        trajectory(Path(results), row, truth.get(row["name"]), index, settings)
        for row in progress(rows, "trajectories read")
    ]
    states, every = table(states_table), table(trajectories_table)
    names = [t["name"] for t in found]
    several = len(found) > 1
    page = {
        "trajectories": found,
        "verdicts": {v: sum(t["verdict"] == v for t in found) for v in words.ORDER},
        "together": shown(trajectories_table, every, TOGETHER, max(most_rows, len(found)), index),
        "states_link": link(states_table, index),
        "order": figures.order_and_size(states, names) if several and states is not None else None,
        "version": VERSION,
        "elements": sorted({look_up(row["element"]).symbol for row in rows}),
    }
    text = render(page)
    write_text(index, text)
    log.info("%s: %d trajectories, %.1f MB", index, len(found), len(text.encode()) / 1e6)


def render(page, folder=SHOWN, other=None):
    """The page's text from what it shows (dict) and the templates, captions, style and scripts of a folder.

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
    return environment.get_template("page.html").render(captions=captions, **assets, **page)


def data(value):
    """A value as JSON that may stand within a <script> element."""
    text = json.dumps(plain(value), separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c"))
