"""Tables and facts as the page shows them, absent files included."""

import os
from pathlib import Path

import pandas as pd

from perrin.files.atomic import read_json
from perrin.files.tables import read_table, sidecar
from perrin.report.words import interval, number


def table(path, columns=None):
    """A table as DataFrame, or those of the columns that it has; None where there is no such file."""
    return read_table(path, columns) if Path(path).is_file() and Path(path).stat().st_size else None


def facts(path):
    """A JSON file as dict, empty where there is no such file."""
    return read_json(path) if Path(path).is_file() and Path(path).stat().st_size else {}


def link(path, index):
    """Where a file lies as seen from the page; None where there is no such file."""
    return Path(os.path.relpath(path, Path(index).parent)).as_posix() if Path(path).is_file() else None


def shown(path, found, columns, most_rows, index):
    """A table for the page: {"head", "rows", "left_out", "link"}; None where there is none.

    columns : {column: heading}; those that the table lacks are left out. A column with _low and _high comes with
        its interval. Each heading carries the column's name, unit and meaning, from the sidecar of the file.
    """
    if found is None:
        return None
    meanings = {c["name"]: c for c in facts(sidecar(path)).get("columns", [])}
    names = [name for name in columns if name in found]
    head = []
    for name in names:
        said = meanings.get(name, {})
        unit = f" [{said['unit']}]" if said.get("unit") else ""
        head.append({"text": columns[name], "title": f"{name}{unit}: {said.get('meaning', '')}"})
    rows = [[cell(record, name) for name in names] for record in found.head(most_rows).to_dict("records")]
    return {
        "head": head,
        "rows": rows,
        "left_out": max(0, len(found) - most_rows),
        "link": link(path, index),
        "name": Path(path).name,
    }


def cell(record, name):
    """{"text", "interval", "kind"} of one value."""
    value = record[name]
    if isinstance(value, str):
        kind = "verdict" if name == "verdict" else "word" if len(value) < 24 else "text"
        return {"text": value or "–", "interval": "", "kind": kind}
    text, ends = ("–" if value is None or pd.isna(value) else number(value)), ""
    if f"{name}_low" in record:
        text, ends = interval(value, record[f"{name}_low"], record[f"{name}_high"])
    return {"text": text, "interval": ends, "kind": "number"}
