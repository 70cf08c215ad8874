"""Stage track: find the particle in the movie, follow it, cut its boxes."""

import logging

import numpy as np
from scipy import ndimage

from perrin.files.atomic import whole
from perrin.files.errors import InputError
from perrin.files.movies import open_movie, pixel_size
from perrin.files.stacks import stack_writer
from perrin.files.tables import write_table
from perrin.frames import pixels
from perrin.frames.field_picture import draw_field
from perrin.frames.path import SCORE_FRAMES, follow_movie, running_mean

log = logging.getLogger("perrin")

LEAST_FRAMES = 20
LEAST_SCORE = 1.3  # sd; empty fields reach 1.1
NOTHING = 1.25  # times what shuffled frames reach: below, there is no particle
DOUBTFUL = 2.0
PLAIN_SCORE = 4.0  # sd; above, the particle stands out whatever shuffled frames reach
LOST_SHARE = 0.3  # of the median score
UNSURE_PX = 4.0  # spread of the place; 2.5 at most where the particle is plain
LEAP_PX = 8.0  # step of the path next to which frames may be on either side of it
LEAP_FRAMES = 3
PASSING_FRAMES = 120
LEAST_NEIGHBOUR = 3.5  # sd
NEIGHBOUR_SHARE = 0.33  # of the particle's own score: the score of another one close by

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


def track(
    *,
    movie,
    tracks,
    particle,
    spectrum,
    field,
    name="",
    pixel_size_A=None,
    frame_rate_hz=None,
    polarity="bright",
    x_px=None,
    y_px=None,
    box_px=None,
    first_frame=None,
    last_frame=None,
    dose_e_px=None,
    seed=0,
    first_frames=100,
    block_frames=1200,
    margin_A=5.0,
    walk_px=None,
    shadow=True,
    smoother="total_variation",
):
    """Follow the particle through the movie and cut its boxes, in one pass and bounded memory.

    The centre in each frame is the mean over all paths of a random walk, weighted by how well the lattice
    energy about the path (and the particle's shadow, where it has one) fits what the first frames taught.

    movie : file or folder; tracks : csv, a row per frame (COLUMNS); particle : mrcs, raw counts times the sign
    of the polarity; spectrum : npz with mean_field (blocks, h, w) counts about the particle, field_corner (blocks, 2)
    x and y of its first pixel in the field, block_first (blocks,) frames of the movie, background_spectrum
    (blocks, n, n), pixel_A, sign, mean_count, extent_A (radius); field : png
    x_px, y_px : place in the first frames, None: found; box_px None: twice (radius + margin_A), rounded up to
    a multiple of 16; first_frame, last_frame : both included, None: all
    first_frames : frames in which the particle is looked for; block_frames : frames that share a static field
    walk_px : rms step per axis and frame, None: measured; shadow : use low-resolution contrast where there is any
    smoother : of the picture of the field, total_variation or quadratic
    Raises InputError where the movie cannot be tracked.
    """
    source = open_movie(movie)
    pixel_A = pixel_size(source, _given(pixel_size_A))
    sign = {"bright": 1.0, "dark": -1.0}[polarity]
    first = int(_given(first_frame) or 0)
    last = source.shape[0] - 1 if _given(last_frame) is None else int(last_frame)
    if not 0 <= first <= last < source.shape[0]:
        raise InputError(
            f"{name or movie}: frames {first} to {last} were asked for, the movie has frames 0 to {source.shape[0] - 1}"
        )
    count = last - first + 1
    if count < LEAST_FRAMES:
        raise InputError(
            f"{name or movie}: {count} frame{'s' * (count != 1)} cannot be followed; "
            f"a movie of at least {LEAST_FRAMES} frames is needed"
        )
    box = _given(box_px)
    smallest = min(source.shape[1:])

    def fit(size):
        if size > smallest:
            raise InputError(
                f"{name or movie}: a box of {size} px does not fit into the field of {source.shape[2]} x "
                f"{source.shape[1]} px; give a box_px of at most {smallest // 16 * 16} in the sample sheet"
            )
        return size

    if box is not None:
        box = int(box)
        if box < 16 or box % 2:
            raise InputError(f"{name or movie}: box_px is {box}; it must be even and at least 16")
        fit(box)

    def choose_box(extent_A):
        if box is not None:
            return box
        return fit(int(np.ceil(2 * (extent_A + margin_A) / pixel_A / 16) * 16))

    near = None
    if _given(x_px) is not None and _given(y_px) is not None:
        near = np.array([x_px, y_px], float)
        if not (0 <= near[0] < source.shape[2] and 0 <= near[1] < source.shape[1]):
            raise InputError(
                f"{name or movie}: the start {near[0]:g}, {near[1]:g} lies outside of the field of "
                f"{source.shape[2]} x {source.shape[1]} px"
            )
    settings = {
        "first_frames": first_frames,
        "block_frames": block_frames,
        "walk_px": walk_px,
        "shadow": shadow,
        "box_px": box,
    }
    path, blocks = follow_movie(source, first, count, pixel_A, near, choose_box, settings, seed)
    corners = []
    begin, counts, offset, place = next(blocks)
    with stack_writer(particle, (count, path.box_px, path.box_px), pixel_A) as stack:
        while True:
            corner = np.rint(place).astype(int) - path.box_px // 2
            corners.append(corner)
            stack.append(sign * pixels.cut_boxes(counts, corner - offset, path.box_px))
            try:
                begin, counts, offset, place = next(blocks)
            except StopIteration:
                break
        running = running_mean(path.score, SCORE_FRAMES)
        verdict = _verdicts(path, running, source.shape[1:], pixel_A)
        _judge(path, name or movie)
    corners = np.concatenate(corners)
    table = {
        "frame": np.arange(first, last + 1),
        "x_px": path.place[:, 0],
        "y_px": path.place[:, 1],
        "score": path.score,
        "verdict": verdict,
        "box_x_px": corners[:, 0] + path.box_px // 2,
        "box_y_px": corners[:, 1] + path.box_px // 2,
        "sigma_px": path.spread_px,
    }
    write_table(tracks, table, COLUMNS)
    with whole(spectrum) as temporary, open(temporary, "wb") as file:
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
    draw_field(field, path, pixel_A, verdict, smoother)


def _given(value):
    """A fact of the sample sheet, None where its cell is empty."""
    return None if value is None or value != value or value == "" else value


def _verdicts(path, running, field_shape, pixel_A):
    """ok, edge, crowded, lost or blank for each frame."""
    ends = [*path.block_first[1:], len(running)]
    lost, low = np.zeros(len(running), bool), np.zeros(len(running), bool)
    # other particles raise what shuffled frames reach, hence the second limit
    most = LOST_SHARE * np.median(path.score[~path.blank])
    for begin, end, high in zip(path.block_first, ends, path.null_score):
        limit = max(min(high, most), 0.5)
        lost[begin:end] = running[begin:end] < limit
        few = running_mean(path.score[begin:end], 3)
        low[begin:end] = (few < max(limit, most)) | (path.score[begin:end] < limit)
    step = np.diff(path.place, axis=0)
    leaps = np.flatnonzero((np.linalg.norm(step, axis=1) > LEAP_PX) & ~lost[1:] & ~lost[:-1]) + 1
    # the running mean knows a gap by its middle: it reaches as far as the frames themselves are low
    lost |= path.spread_px > UNSURE_PX
    lost = ndimage.binary_dilation(lost, iterations=SCORE_FRAMES, mask=lost | low)
    for one, other in zip(leaps[:-1], leaps[1:]):
        # there and back: onto another particle, most likely
        if other - one < PASSING_FRAMES and step[one - 1] @ step[other - 1] < 0:
            lost[one:other] = True
    for row in leaps:
        lost[max(row - LEAP_FRAMES, 0) : row + LEAP_FRAMES] = True
    height, width = field_shape
    reach = path.extent_A / pixel_A
    x, y = path.place.T
    edge = (x < reach) | (y < reach) | (x > width - 1 - reach) | (y > height - 1 - reach)
    crowded = path.neighbour > np.maximum(LEAST_NEIGHBOUR, NEIGHBOUR_SHARE * running)
    # a neighbour that comes and goes has been on top of the particle in between, whichever was followed then
    wide = np.pad(crowded, PASSING_FRAMES)
    crowded = ndimage.binary_closing(wide, np.ones(PASSING_FRAMES))[PASSING_FRAMES:-PASSING_FRAMES]
    verdict = np.where(edge, "edge", np.where(crowded, "crowded", "ok"))
    verdict = np.where(lost, "lost", verdict)
    return np.where(path.blank, "blank", verdict)


def _judge(path, name):
    """Say how far the particle stands out; refuse a field that holds nothing."""
    ordinary = max(float(np.median(path.null_score)), LEAST_SCORE / NOTHING)
    here = float(np.median(path.score[~path.blank])) if (~path.blank).any() else 0.0
    ratio = here / ordinary
    log.info("score %.1f sd; once nothing holds together at most %.1f", here, ordinary)
    if ratio < NOTHING and here < PLAIN_SCORE:
        raise InputError(
            f"{name}: no particle was found; the best path scores {here:.2f}, shuffled frames {ordinary:.2f}; "
            "give its place in the first frames as x_px and y_px, or leave the trajectory out"
        )
    if ratio < DOUBTFUL and here < PLAIN_SCORE:
        log.warning("%s: the particle hardly stands out of the noise (%.1f times)", name, ratio)


def _spectra(path):
    """(blocks, n, n) spectra of the background; NaN where a block had none."""
    empty = np.full((path.box_px, path.box_px), np.nan, np.float32)
    return np.stack([empty if power is None else power for power in path.background])
