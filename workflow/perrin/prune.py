"""Remove what is left of windows that are no longer listed."""

import logging
import shutil
from pathlib import Path

from perrin.files.tables import read_table

log = logging.getLogger("perrin")


def prune(tables):
    """Remove, beside each windows.tsv, the folders of windows that it does not list; returns their paths.

    tables : paths results/NAME/segment/windows.tsv; the windows' folders are results/NAME/windows/WINDOW
    """
    removed = []
    for table in map(Path, tables):
        listed = set(read_table(table)["window"])
        for folder in sorted((table.parent.parent / "windows").glob("f*-*")):
            if folder.is_dir() and folder.name not in listed:
                shutil.rmtree(folder)
                removed.append(folder.as_posix())
                log.info("removed %s", folder)
    return removed
