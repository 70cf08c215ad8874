"""Tables: csv or tsv with the same bytes for the same numbers, a sidecar says what each column means."""

from pathlib import Path

import numpy as np
import pandas as pd

from perrin.files.atomic import read_json, write_json, write_text
from perrin.files.errors import InputError

SEPARATORS = {".csv": ",", ".tsv": "\t"}
DIGITS = 7


def write_table(path, table, columns):
    """Write a table and, beside it, NAME.columns.json.

    path : .csv or .tsv; the sidecar of atoms.csv is atoms.columns.json
    table : DataFrame, or dict of equally long arrays; written in its own order, without an index
    columns : {name: (unit, meaning)}; unit "" for none; columns that the table has not got are left out,
        columns of
        the table without a meaning are refused (ValueError)

    Numbers with 7 significant digits, missing numbers empty, "\\n" at line ends.
    """
    path = Path(path)
    table = pd.DataFrame(table)
    unknown = [name for name in table.columns if not (name in columns and columns[name][1])]
    if unknown:
        raise ValueError(f"{path}: columns without a meaning: {', '.join(map(str, unknown))}")
    texts = {name: _texts(table[name], path) for name in table.columns}
    lines = [SEPARATORS[path.suffix].join(texts)]
    lines += [SEPARATORS[path.suffix].join(row) for row in zip(*texts.values(), strict=True)]
    write_text(path, "\n".join(lines) + "\n")
    write_json(
        sidecar(path),
        {
            "table": path.name,
            "columns": [
                {
                    "name": name,
                    "unit": columns[name][0],
                    "type": _type(table[name]),
                    "meaning": columns[name][1],
                }
                for name in table.columns
            ],
        },
    )


def read_table(path, columns=None):
    """Read a csv or tsv into a DataFrame; where there is a sidecar, columns get its types even without rows.

    columns : names to read, in the order of the file; those that the table lacks are left out; None: all

    Text stays text ("NA", "nan" and "" too), integers stay integers where none is missing.

    >>> write_table("t.csv", {"x_A": [1.0, 2.0]}, {"x_A": ("A", "place along x")})
    >>> read_table("t.csv")["x_A"].tolist(), sidecar("t.csv").name
    ([1.0, 2.0], 't.columns.json')
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such table; check the path, or run the stage that writes it")
    if path.suffix not in SEPARATORS:
        raise InputError(f"{path}: a table is read by its suffix, .csv or .tsv, not {path.suffix!r}")
    types = {}
    if sidecar(path).is_file():
        types = {column["name"]: column["type"] for column in read_json(sidecar(path))["columns"]}
    if (table := _typed(path, types, columns)) is not None:
        return table
    wanted = None if columns is None else set(columns).__contains__
    try:
        table = pd.read_csv(
            path,
            sep=SEPARATORS[path.suffix],
            dtype=str,
            usecols=wanted,
            keep_default_na=False,
            encoding="utf-8-sig",
            comment=None,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: not a readable table ({error}); one header line, then one line a row"
        ) from error
    return pd.DataFrame({name: _values(table[name], types.get(name), path) for name in table.columns})


def _typed(path, types, columns):
    """The table as its sidecar types it, parsed once; None where the file is not what the sidecar says.

    Parsing text into numbers column by column takes most of the time of tables with a hundred columns. Whatever this
    cannot read (a missing integer, an edited column, a text among numbers) is left to the slow way and its messages.
    """
    separator = SEPARATORS[path.suffix]
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = file.readline().rstrip("\r\n").split(separator)
            if not file.readline():
                return None
    except (OSError, UnicodeDecodeError):
        return None
    names = [name for name in names if columns is None or name in columns]
    if not set(names) <= set(types) or len(set(names)) < len(names):
        return None
    kinds = {"integer": np.int64, "number": np.float64, "text": object}
    plain = {name: kinds[types[name]] for name in names if types[name] in kinds}
    plain |= {name: object for name in names if types[name] == "boolean"}
    try:
        table = pd.read_csv(
            path, sep=separator, usecols=names, dtype=plain, keep_default_na=False, encoding="utf-8-sig",
            na_values={name: [""] for name in names if types[name] == "number"},
        )  # fmt: skip
    except (ValueError, TypeError, OverflowError):
        return None
    if not isinstance(table.index, pd.RangeIndex):
        return None
    for name in names:
        if types[name] == "boolean":
            table[name] = table[name].str.lower() == "true"
    return table


def sidecar(path):
    """Where the meaning of a table's columns is written."""
    path = Path(path)
    return path.with_name(path.stem + ".columns.json")


def _type(values):
    kind = values.dtype.kind
    return {"i": "integer", "u": "integer", "f": "number", "b": "boolean"}.get(kind, "text")


def _texts(values, path):
    """A column as a list of texts."""
    kind = _type(values)
    if kind == "number":
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # + 0.0 turns -0 into 0
        return ["" if np.isnan(x) else f"{x:.{DIGITS}g}" for x in numbers.tolist()]
    if kind in ("integer", "boolean"):
        return [str(x) for x in values.tolist()]
    texts = ["" if x is None or x is pd.NA or x != x else str(x) for x in values.tolist()]
    separator = SEPARATORS[path.suffix]
    return [
        f'"{x.replace(chr(34), chr(34) * 2)}"' if set(x) & {separator, '"', "\n", "\r"} else x for x in texts
    ]


def _values(texts, kind, path):
    """A column of texts as the type that the sidecar names, or the narrowest that holds all of it."""
    if kind == "text":
        return texts.astype(object)
    missing = texts == ""
    if kind == "boolean" or (
        kind is None and len(texts) and texts.isin(["True", "False", "true", "false"]).all()
    ):
        return texts.str.lower() == "true"
    try:
        numbers = pd.to_numeric(texts.mask(missing))
    except (ValueError, TypeError):
        if kind is None:
            return texts.astype(object)
        bad = next(text for text in texts if text and not _is_number(text))
        raise InputError(f"{path}: column {texts.name} holds {bad!r} where a number is needed") from None
    if kind == "integer" and not missing.any():
        return numbers.astype(np.int64)
    if kind == "number" or missing.any() or len(texts) == 0:
        return numbers.astype(np.float64)
    return numbers


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
