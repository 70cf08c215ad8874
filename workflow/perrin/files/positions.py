"""Places of particles that a person picked: EMAN's .box files and tables."""

from pathlib import Path

import numpy as np
import pandas as pd

from perrin.files.errors import InputError


def read_positions(path):
    """Centres (n, 2) x and y in pixels, and box edges (n,) in pixels, 0 where the file gives none.

    .box : EMAN's lines of x, y of the box's corner, width, height (further columns are ignored); the centre is
    corner + edge // 2, where perrin's boxes have theirs. Any other file is a table, tabs or commas, with the columns
    x_px, y_px and, where wanted, box_px.
    Raises InputError, one sentence, for a file that is neither.

    >>> _ = open("picked.box", "w").write("100 50 64 64\\n")
    >>> centre, edge = read_positions("picked.box")
    >>> centre.tolist(), edge.tolist()
    ([[132.0, 82.0]], [64])
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such file of positions")
    return _eman(path) if path.suffix.lower() == ".box" else _table(path)


def _eman(path):
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            x, y, width, height = (float(word) for word in line.replace(",", " ").split()[:4])
        except ValueError as error:
            raise InputError(
                f"{path}, line {number}: an EMAN box is x, y of its corner, width and height, this is "
                f"{line.strip()[:40]!r}"
            ) from error
        if width != height or width < 16:
            raise InputError(
                f"{path}, line {number}: a box of {width:g} x {height:g} px; it must be square, at least 16 px"
            )
        rows.append((x + width // 2, y + width // 2, width))
    return _checked(path, np.array(rows, float).reshape(-1, 3))


def _table(path):
    try:
        table = pd.read_csv(path, sep=None, engine="python", comment="#")
    except (ValueError, pd.errors.ParserError) as error:
        raise InputError(
            f"{path}: not a table of positions ({error}); it needs columns x_px, y_px"
        ) from error
    table.columns = [str(name).strip() for name in table.columns]
    missing = [name for name in ("x_px", "y_px") if name not in table]
    if missing:
        raise InputError(
            f"{path}: lacks the column {missing[0]}; a table of positions has x_px, y_px (box_px)"
        )
    box = table["box_px"] if "box_px" in table else pd.Series(0.0, table.index)
    columns = [
        pd.to_numeric(values, errors="coerce") for values in (table["x_px"], table["y_px"], box.fillna(0))
    ]
    return _checked(path, np.stack(columns, 1).astype(float))


def _checked(path, rows):
    if len(rows) == 0:
        raise InputError(f"{path}: holds no positions")
    bad = ~np.isfinite(rows).all(1)
    if bad.any():
        raise InputError(f"{path}: position {int(np.argmax(bad)) + 1} is not a number")
    return rows[:, :2], rows[:, 2].astype(int)
