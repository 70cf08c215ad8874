"""Write docs/demo.svg, the picture of the README, from the results of a finished demo.

PYTHONPATH=workflow python docs/make_picture.py results/demo
"""

import base64
import io
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from perrin.files.elements import element
from perrin.files.movies import open_movie
from perrin.files.tables import read_table
from perrin.report.atoms3d import scene
from perrin.report.portrait import portrait
from perrin.report.timeline import timeline

HERE = Path(__file__).resolve().parent
EDGE = 170


def grey(image):
    """An array as PNG data of EDGE px."""
    low, high = np.percentile(image, [1, 99.5])
    values = (255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).resize((EDGE, EDGE), Image.Resampling.BICUBIC).save(buffer, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def placed(svg, x, y, width, height):
    """A picture of the report at a place in this one."""
    box = re.search(r'viewBox="([^"]*)"', svg)[1]
    inner = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    return f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{box}">{inner}</svg>'


def main():
    """Compose the picture."""
    folder = Path(sys.argv[1])
    movie = open_movie(folder / "movie/movie.mrc")
    frame = np.asarray(movie.read(100, 101)[0], float)
    with Image.open(folder / "classes2d/classes.gif") as film:
        averages = []
        for number in range(film.n_frames):
            film.seek(number)
            averages.append(np.asarray(film.convert("L"), float)[20:-20, 20:-20])
    average = max(averages, key=np.var)  # a view along a zone axis
    metal, lives = element("Pt"), read_table(folder / "dynamics/lives.csv")
    states = read_table(folder / "dynamics/states.csv").to_dict("records")
    scenes = [
        scene(folder / "windows" / s["window"], lives, (k, s), metal, 20000) for k, s in enumerate(states)
    ]
    _, over = timeline(folder / "events/evidence.npz", scenes[0]["bond"], metal, 400.0, 20000)
    step, parts = EDGE + 26, []
    for k, image in enumerate((grey(frame), grey(average))):
        parts.append(f'<image href="{image}" x="{k * step}" y="0" width="{EDGE}" height="{EDGE}"/>')
    for k, one in enumerate(scenes[:2]):
        parts.append(placed(portrait(one, f"a{k}").svg, (k + 2) * step, 0, EDGE, EDGE))
    parts.append(placed(over.svg, 4 * step, 0, 300, EDGE))
    counts = [int(s["n_atoms"]) for s in states]
    texts = [
        "a frame of the movie",
        "an average of some",
        f"{counts[0]} atoms",
        f"{counts[-1]} atoms, seconds later",
    ]
    for k, text in enumerate(texts):
        parts.append(f'<text x="{k * step + EDGE / 2}" y="{EDGE + 20}" text-anchor="middle">{text}</text>')
        if k < 3:
            parts.append(f'<text x="{(k + 1) * step - 13}" y="{EDGE / 2 + 6}" text-anchor="middle">→</text>')
    parts.append(
        f'<text x="{4 * step + 165}" y="{EDGE + 20}" text-anchor="middle">every atom dated to the frame</text>'
    )
    style = (HERE.parent / "workflow/report/style.css").read_text(encoding="utf-8")
    colours = re.search(r":root \{(.*?)\}", style, re.S)[1]
    rules = re.search(r"/\* plots \*/(.*?)@media", style, re.S)[1]
    width = 4 * step + 300
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 -6 {width + 12} {EDGE + 40}" width="{width + 12}">'
    title = "<title>The demo: a frame, an average of frames, the atoms of both states, and the atoms over time</title>"
    ground = f'<rect x="-6" y="-6" width="{width + 12}" height="{EDGE + 40}" fill="#fff"/>'
    text = f"{head}{title}<style>svg {{{colours}}}{rules}</style>{ground}{''.join(parts)}</svg>\n"
    (HERE / "demo.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
