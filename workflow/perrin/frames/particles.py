"""python -m perrin.frames.particles MOVIE SHEET.tsv: find the particles of a movie, write a sample sheet of them.

All particles are looked for in the first frames: where the lattice energy is (or, as the authors do, in the denoised
average), or they are read from an EMAN .box file or a table of positions. Beside the sheet a picture shows them,
numbered as they are named.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

from perrin.files.atomic import whole
from perrin.files.errors import InputError
from perrin.files.movies import open_movie, pixel_size
from perrin.files.positions import read_positions
from perrin.frames import energy, look, pixels
from perrin.frames.energy import BIN_PX
from perrin.frames.field_picture import SMOOTHERS, denoised_average, draw_average, shown_average
from perrin.frames.reading import read_frames

METHODS = ("lattice", *SMOOTHERS)
LEAST_DISTINCTION = 9.0  # robust sd of all places' scores; without a particle 5
LEAST_SMOOTH = 12.0  # the same of a denoised average, whose slow background reaches 11
LEAST_SHARE = 0.15  # of the strongest particle's score
MARGIN_A = 5.0


def find_particles(counts, pixel_A, method="lattice", most=20):
    """Particles in the first frames of a movie, strongest first: centres (n, 2) px, radii (n,) A, distinction (n,) sd.

    counts : (frames, height, width); method : lattice (energy in the band of the metals' reflections), or
    total_variation, quadratic (deviation of the denoised average from its surroundings, for movies in which particles
    are bright or dark discs); most : at most so many
    A particle found is blanked out of the map before the next is sought.
    """
    static = counts.mean(0, dtype=float)
    if method == "lattice":
        scores = look.mean_energy(counts, static, pixel_A)
    else:
        smooth = denoised_average(static, method)
        broad = ndimage.gaussian_filter(smooth, 30 / pixel_A, mode="nearest")
        scores = energy.binned(np.square(smooth - broad)[None].astype(np.float32))[0]
    scores = scores - np.median(scores)
    y, x = np.mgrid[: scores.shape[0], : scores.shape[1]] * BIN_PX + 0.5
    least = LEAST_DISTINCTION if method == "lattice" else LEAST_SMOOTH
    found = []
    while len(found) < most:
        place, radius_A, height, distinction = look.best_ball(scores, pixel_A)
        if distinction < least or (found and height < LEAST_SHARE * found[0][4]):
            break
        found.append((*place, radius_A, distinction, height))
        scores[np.hypot(x - place[0], y - place[1]) < 1.6 * radius_A / pixel_A] = 0
    table = np.array(found).reshape(-1, 5)
    return table[:, :2], table[:, 2], table[:, 3]


def survey(
    *,
    movie,
    sheet,
    picture,
    element,
    polarity,
    frame_rate_hz,
    pixel_size_A=None,
    positions=None,
    method="lattice",
    first_frames=100,
    most=20,
):
    """Write a sample sheet with a row for every particle of a movie, and a picture of them; returns their number.

    sheet : tsv, made anew, the movie's path counts from its folder; picture : png
    positions : EMAN .box file or table (files.positions) instead of the search; method : see find_particles
    Raises InputError where there is no particle.
    """
    source = open_movie(movie)
    pixel_A = pixel_size(source, pixel_size_A)
    look.refuse_pixel(movie, source, pixel_A)
    height, width = source.shape[1:]
    several = int(np.clip(first_frames * 512**2 / (height * width), min(24, first_frames), first_frames))
    counts = read_frames(source, 0, min(several, source.shape[0]))
    good = ~pixels.blank_frames(counts, float(np.median(counts.mean((1, 2), dtype=float))))
    counts = counts if good.all() else counts[good]
    pixels.repair(counts, pixels.faulty_pixels(counts.mean(0, dtype=float)))
    if positions is None:
        place, radius_A, _ = find_particles(counts, pixel_A, method, most)
        box = (np.ceil(2 * (radius_A + MARGIN_A) / pixel_A / 16) * 16).astype(int)
        given = np.zeros(len(place), int)  # the tracker chooses, it knows the particle better
    else:
        place, given = read_positions(positions)
        inside = ((place >= 0) & (place < [width, height])).all(1)
        if not inside.all():
            x, y = place[~inside][0]
            raise InputError(f"{positions}: {x:g}, {y:g} lies outside of the field of {width} x {height} px")
        given = given // 16 * 16
        box = np.where(given > 0, given, 64)
    if len(place) == 0:
        raise InputError(
            f"{movie}: no particle was found in the first {len(counts)} frames; give their places in a .box file or "
            "a table with x_px, y_px"
        )
    stem = "".join(c if c.isalnum() or c in "_-" else "_" for c in Path(movie).stem)
    names = [f"{stem}_{number}" for number in range(1, len(place) + 1)]
    shown = Path(os.path.relpath(Path(movie).absolute(), Path(sheet).absolute().parent)).as_posix()
    columns = [
        "name",
        "movie",
        "pixel_size_A",
        "frame_rate_hz",
        "element",
        "polarity",
        "x_px",
        "y_px",
        "box_px",
    ]
    lines = ["\t".join(columns)]
    for name, (x, y), edge in zip(names, place, given):
        facts = (name, shown, f"{pixel_A:g}", f"{frame_rate_hz:g}", element, polarity, f"{x:.1f}", f"{y:.1f}")
        lines.append("\t".join((*facts, str(edge) if edge else "")))
    with whole(sheet) as temporary:
        Path(temporary).write_text("\n".join(lines) + "\n", encoding="utf-8")
    _draw(picture, counts.mean(0, dtype=float), place, box, method)
    return len(place)


def _draw(target, average, place, box, method):
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    figure = Figure(figsize=(6, 6 * average.shape[0] / average.shape[1] + 0.4), dpi=130)
    axes = figure.add_subplot()
    small, step = shown_average(average, method if method in SMOOTHERS else SMOOTHERS[0])
    draw_average(axes, average.shape, small, step)
    for number, (centre, edge) in enumerate(zip(place, box), 1):
        axes.add_patch(Rectangle(centre - edge / 2, edge, edge, fill=False, ec="#e9a03b", lw=1))
        axes.annotate(str(number), centre - edge / 2, color="#e9a03b", fontsize=8)
    figure.tight_layout()
    with whole(target) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m perrin.frames.particles", description=__doc__)
    parser.add_argument("movie")
    parser.add_argument("sheet", help="sample sheet to write; the picture is written beside it as .png")
    parser.add_argument("--element", default="Pt")
    parser.add_argument("--polarity", choices=("bright", "dark"), default="bright")
    parser.add_argument("--frame-rate-hz", type=float, default=400.0)
    parser.add_argument("--pixel-size-A", type=float, help="where the movie does not say it")
    parser.add_argument("--positions", help="EMAN .box file, or a table with x_px, y_px (box_px)")
    parser.add_argument("--method", choices=METHODS, default="lattice")
    parser.add_argument("--most", type=int, default=20)
    options = vars(parser.parse_args(arguments))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    picture = Path(options["sheet"]).with_suffix(".png")
    try:
        number = survey(picture=picture, **options)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"{number} particle{'s' * (number != 1)}: {options['sheet']}, {picture}")


if __name__ == "__main__":
    main()
