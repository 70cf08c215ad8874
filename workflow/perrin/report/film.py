"""The class averages as a film: one picture that holds all of them, which the page shows one by one.

An animated picture could not be stopped, stepped through or left standing where a reader asks for less motion.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from perrin.report.pictures import webp

ACROSS = 16
MOST = 144


def film(path, edge_px, quality):
    """{"data", "count", "columns", "edge"} of an animation (GIF) in time order; None where there is no file.

    edge_px : of one picture; of more than MOST pictures evenly spaced ones are taken
    """
    if not Path(path).is_file() or Path(path).stat().st_size == 0:
        return None
    with Image.open(path) as opened:
        count = getattr(opened, "n_frames", 1)
        chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).round().astype(int))
        columns = min(ACROSS, len(chosen))
        sheet = Image.new("L", (columns * edge_px, -(-len(chosen) // columns) * edge_px), 128)
        for place, number in enumerate(chosen.tolist()):
            opened.seek(number)
            image = opened.convert("L").resize((edge_px, edge_px), Image.Resampling.LANCZOS)
            sheet.paste(image, (place % columns * edge_px, place // columns * edge_px))
    return webp(sheet, quality) | {"count": len(chosen), "columns": columns, "edge": edge_px}
