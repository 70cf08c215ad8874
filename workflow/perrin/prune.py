"""Remove what is no longer needed: windows that are no longer listed, boxes of trajectories that are finished."""

import logging
import shutil
from pathlib import Path

from perrin.files.tables import read_table

log = logging.getLogger("perrin")

# stacks of all frames, which nothing reads once a trajectory is finished and which the movie gives again
INTERMEDIATE = ("track/particle.mrcs", "graphene/clean.mrcs", "denoise/denoised.mrcs")


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


def clean(results, names):
    """Remove the stacks of boxes (INTERMEDIATE) of the trajectories that have all that the report shows of them.

    results : folder; names : of trajectories; returns the paths that were removed
    """
    removed, freed = [], 0
    for name in names:
        folder = Path(results) / name
        if not (folder / "dynamics/category.json").is_file():
            log.info("%s: not finished, everything kept", name)
            continue
        for path in (folder / file for file in INTERMEDIATE):
            if path.is_file():
                freed += path.stat().st_size
                path.unlink()
                removed.append(path.as_posix())
                log.info("removed %s", path)
    log.info("%d files, %.2f GB", len(removed), freed / 1e9)
    return removed
