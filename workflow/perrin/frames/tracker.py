"""One particle from the sheet's facts to its files: wishes checked, path followed, boxes cut, all written."""

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from perrin.files.atomic import whole
from perrin.files.errors import InputError
from perrin.files.movies import pixel_size
from perrin.files.stacks import stack_writer
from perrin.files.tables import write_table
from perrin.frames import pixels
from perrin.frames.field_picture import draw_field, shown_average
from perrin.frames.look import refuse_pixel
from perrin.frames.path import SCORE_FRAMES, follow_movie, running_mean
from perrin.frames.reading import Wanted
from perrin.frames.verdicts import judge, verdicts

LEAST_FRAMES = 20
PIECE = 128  # boxes written at once

COLUMNS = {
    "frame": ("", "frame of the movie, from 0"),
    "x_px": ("px", "particle's centre in the field, from the middle of the first column's pixel"),
    "y_px": ("px", "particle's centre in the field, from the middle of the first row's pixel"),
    "score": ("sd", "lattice energy gathered at the centre, in standard deviations of the empty field"),
    "verdict": (
        "",
        "ok; edge: crosses the border; crowded: another particle near; lost: none seen, or its place unsure; "
        "blank: no image",
    ),
    "box_x_px": ("px", "column of the field on which the middle (n // 2) of the box lies"),
    "box_y_px": ("px", "row of the field on which the middle (n // 2) of the box lies"),
    "sigma_px": ("px", "spread of the centre's probability along one axis"),
}


class Followed(NamedTuple):
    """First and last frame, and place (n, 2) px in the field."""

    first: int
    last: int
    place: np.ndarray


def tracker(source, outputs, asked, seen_first):
    """First frame and generator of a particle: it yields what it wants of the movie, writes, and returns Followed.

    outputs : {key of FILES: path}; asked : {argument of `track`: value}; seen_first : see follow_movie
    """
    asked = {key: None if _empty(value) else value for key, value in asked.items()}
    name = asked["name"] or source.path
    pixel_A = pixel_size(source, asked["pixel_size_A"])
    refuse_pixel(name, source, pixel_A)
    first, last = _frames(source, name, asked["first_frame"], asked["last_frame"])
    near = _place(source, name, asked["x_px"], asked["y_px"])
    box = asked["box_px"]
    if box is not None:
        box = int(box)
        if box < 16 or box % 2:
            raise InputError(f"{name}: box_px is {box}; it must be even and at least 16")
        _refuse_large(source, name, box)

    def choose_box(extent_A):
        if box is not None:
            return box
        size = int(np.ceil(2 * (extent_A + asked["margin_A"]) / pixel_A / 16) * 16)
        reaches = f"what moves reaches {extent_A:.0f} A, as if it were no particle or filled the field; if it is one, "
        _refuse_large(source, name, size, reaches)
        return size

    count, seed = last - first + 1, asked["seed"]
    path, blocks = follow_movie(
        source, first, count, pixel_A, near, choose_box, {**asked, "box_px": box}, seed, seen_first
    )
    sign = {"bright": 1.0, "dark": -1.0}[asked["polarity"]]

    def picture():
        """What is drawn beneath the path: the same for all particles with the same first frames."""
        key = "picture", id(path.picture), asked["smoother"]
        if key not in seen_first:
            seen_first[key] = shown_average(path.picture, asked["smoother"])
        return seen_first[key]

    return first, _written(
        path, blocks, outputs, name, first, pixel_A, sign, source, picture, asked["stored"]
    )


def _written(path, blocks, outputs, name, first, pixel_A, sign, source, picture, stored):
    """Let the blocks of a particle come, and write its files; passes on what they want of the movie."""
    count, corners, reply = len(path.place), [], None
    with ExitStack() as stacks:
        stack = None
        while True:
            try:
                block = blocks.send(reply)
            except StopIteration:
                break
            if isinstance(block, Wanted):
                reply = yield block
                continue
            _, counts, offset, place = block
            if stack is None:  # not before the size of the box is known
                shape = (count, path.box_px, path.box_px)
                stack = stacks.enter_context(stack_writer(outputs["particle"], shape, pixel_A, stored))
            corner = np.rint(place).astype(int) - path.box_px // 2
            corners.append(corner)
            for i in range(0, len(counts), PIECE):
                part = slice(i, i + PIECE)
                stack.append(sign * pixels.cut_boxes(counts[part], corner[part] - offset, path.box_px))
            reply = block = counts = None  # not to be held while the next block is read
        running = running_mean(path.score, SCORE_FRAMES)
        verdict = verdicts(path, running, source.shape[1:], pixel_A)
        judge(path, name)
    corners = np.concatenate(corners)
    table = {
        "frame": np.arange(first, first + count),
        "x_px": path.place[:, 0],
        "y_px": path.place[:, 1],
        "score": path.score,
        "verdict": verdict,
        "box_x_px": corners[:, 0] + path.box_px // 2,
        "box_y_px": corners[:, 1] + path.box_px // 2,
        "sigma_px": path.spread_px,
    }
    write_table(outputs["tracks"], table, COLUMNS)
    with whole(outputs["spectrum"]) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(
            file,
            mean_field=np.stack(path.mean_field),
            field_corner=np.array(path.field_corner),
            block_first=np.array(path.block_first) + first,
            background_spectrum=_spectra(path),
            pixel_A=pixel_A,
            sign=sign,
            mean_count=path.mean_count,
            extent_A=path.extent_A,
            faulty_px=path.faulty,
            walk_px=path.walk_px,
        )
    draw_field(outputs["field"], path, pixel_A, verdict, *picture())
    return Followed(first, first + count - 1, path.place)


def _empty(value):
    """Whether a fact of the sample sheet is not given."""
    return value is None or value != value or value == ""


def _frames(source, name, first, last):
    """First and last frame, both included, of those asked for; InputError where the movie has not got them."""
    first = int(first or 0)
    last = source.shape[0] - 1 if last is None else int(last)
    if not 0 <= first <= last < source.shape[0]:
        raise InputError(
            f"{name}: frames {first} to {last} were asked for, the movie has frames 0 to {source.shape[0] - 1}"
        )
    count = last - first + 1
    if count < LEAST_FRAMES:
        raise InputError(
            f"{name}: {count} frame{'s' * (count != 1)} cannot be followed; "
            f"a movie of at least {LEAST_FRAMES} frames is needed"
        )
    return first, last


def _place(source, name, x_px, y_px):
    """The place (2,) that was given, or None; InputError where it lies outside."""
    if x_px is None or y_px is None:
        return None
    if not (0 <= x_px < source.shape[2] and 0 <= y_px < source.shape[1]):
        raise InputError(
            f"{name}: the start {x_px:g}, {y_px:g} lies outside of the field of "
            f"{source.shape[2]} x {source.shape[1]} px"
        )
    return np.array([x_px, y_px], float)


def _refuse_large(source, name, size, reason=""):
    """InputError where a box does not fit into the field; reason : words before the way out."""
    smallest = min(source.shape[1:])
    if size > smallest:
        raise InputError(
            f"{name}: a box of {size} px does not fit into the field of {source.shape[2]} x "
            f"{source.shape[1]} px; {reason}give a box_px of at most {smallest // 16 * 16} in the sample sheet"
        )


def _spectra(path):
    """(blocks, n, n) spectra of the background; NaN where a block had none."""
    empty = np.full((path.box_px, path.box_px), np.nan, np.float32)
    return np.stack([empty if power is None else power for power in path.background])
