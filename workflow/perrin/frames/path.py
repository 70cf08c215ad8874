"""The particle followed through a whole movie, block by block, in bounded memory.

A block is read, its static field subtracted, the evidence weighed and summed over all paths; the next block
goes on from the probability of the place where the last one ended. Each block looks LOOKAHEAD frames past its
end, so that its last frames know their future like all others.
"""

import logging
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from perrin.files.errors import InputError
from perrin.frames import centre, look, pixels
from perrin.frames.beside import PRESENT, another
from perrin.frames.energy import BIN_PX
from perrin.frames.reading import read_frames, read_region
from perrin.frames.region import carried, inside, leaves, region_about, region_size, window_about
from perrin.frames.steps import refine, step_evidence

log = logging.getLogger("perrin")

LOOKAHEAD = 40  # frames
BLOCK_BYTES = 150_000_000
LEARN_FRAMES = 400
LEARN_ROUNDS = 2
LEAST_BLOCK = 50  # frames
FIRST_WALK_PX = 0.8
WALK_LIMITS_PX = (0.6, 2.0)
NULL_JUMP = 1e-15
NULL_FRAMES = 100  # without another particle, where there are so many
SCORE_FRAMES = 15  # running mean of the score that tells a lost particle
BACKGROUND_FRAMES = 120  # per block, for the spectrum around the particle


@dataclass
class Path:
    """What following yields: arrays over frames, and over blocks.

    place (n, 2) px in the field, spread_px (n,) per axis, score (n,) sd, blank (n,) bool; other (n, 2) px, other_score
    (n,) sd and before (n,) sd as of beside.another; block_first (b,), mean_field (b, h, w) counts in a window whose
    corner (x, y) in the field is field_corner (b, 2), null_score (b,): 99.9 % of the running scores in shuffled frames,
    background: spectra (box, box) or None; faulty (m, 2) pixels; picture (height, width): mean of the first frames.
    """

    place: np.ndarray
    spread_px: np.ndarray
    score: np.ndarray
    blank: np.ndarray
    other: np.ndarray
    other_score: np.ndarray
    before: np.ndarray
    block_first: list = field(default_factory=list)
    mean_field: list = field(default_factory=list)
    field_corner: list = field(default_factory=list)
    null_score: list = field(default_factory=list)
    background: list = field(default_factory=list)
    mean_count: float = 0.0
    extent_A: float = 0.0
    walk_px: float = 0.0
    box_px: int = 0
    shadow: bool = False
    faulty: np.ndarray | None = None
    picture: np.ndarray | None = None


def running_mean(values, width):
    """Mean over `width` neighbouring values, fewer at the ends; (n,)."""
    window = np.ones(min(width, len(values)))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")


def follow_movie(movie, first, count, pixel_A, near_px, choose_box, settings, seed, seen_first=None):
    """Follow one particle through frames first .. first + count - 1 of an open movie.

    near_px : where to look in the first frames, or None; choose_box : extent_A -> box_px, called once
    settings : first_frames, block_frames, walk_px, shadow, box_px (None where not given)
    seen_first : what the first frames showed to other particles of this movie, a dict that is added to
    Returns the Path, filled as the blocks are made, and a generator of the blocks in order:
        (row of the first frame, counts (k, h, w) of a region, corner (x, y) of the region, places (k, 2)),
    with what it wants of the movie in between (reading.Wanted), which is to be sent to it.
    """
    one, two = np.zeros(count), np.zeros((count, 2))
    path = Path(two.copy(), one.copy(), one.copy(), np.zeros(count, bool), two, one.copy(), one)
    shown = {} if seen_first is None else seen_first
    return path, _blocks(path, movie, first, count, pixel_A, near_px, choose_box, settings, seed, shown)


def _blocks(path, movie, first, count, pixel_A, near_px, choose_box, settings, seed, shown):
    field_shape = movie.shape[1:]
    start_px, radius_A = _find(movie, first, count, pixel_A, near_px, settings["first_frames"], path, shown)
    size = region_size(radius_A / pixel_A, settings["box_px"])
    region = region_about(start_px, field_shape, size)
    area = (region[1] - region[0]) * (region[3] - region[2])
    block = int(np.clip(BLOCK_BYTES // (4 * area), 100, settings["block_frames"]))
    seen = message = tail = None
    begin = 0
    while begin < count:
        end = count if count - begin < 1.5 * block else begin + block
        stop = min(count, end + LOOKAHEAD)
        window = window_about(region, field_shape)
        counts, good, mean, tail = yield from read_region(
            movie,
            first + begin,
            first + stop,
            region,
            window,
            path.faulty,
            path.mean_count,
            LOOKAHEAD,
            tail,
        )
        offset = np.array([region[2], region[0]])
        # rows and columns of the window that are the region
        inner = np.s_[
            region[0] - window[0] : region[1] - window[0], region[2] - window[2] : region[3] - window[2]
        ]
        static = mean[inner].copy()
        frames = look.normalised(counts, static, good)
        if seen is None:
            message = _about(start_px - offset, frames.shape[1:], 12 / pixel_A)
            seen = _learn(counts, good, message, pixel_A, radius_A, settings, path)
            path.box_px = choose_box(seen.extent_A)
        found = _follow(frames, seen, path.walk_px, message, end - begin)
        if path.shadow and good.any():
            # the static field has taken a smeared copy of the shadow with it: put it back, and look again
            ghost = look.smear(seen.shadow, (found[0][good] - 0.5) / BIN_PX, found.evidence.shape[1:])
            ghost = _unbinned(ghost, frames.shape[1:])
            frames[good] += ghost
            mean[inner] -= ghost * np.sqrt(max(static.mean(), 1e-6))
            found = _follow(frames, seen, path.walk_px, message, end - begin)
        gone = leaves(found.place[: end - begin] + offset, region, field_shape, path.box_px // 2)
        if gone is not None and gone >= LEAST_BLOCK:
            end = begin + gone
            found = _follow(frames, seen, path.walk_px, message, gone)
        found = _refined(frames, seen, path.walk_px, found, ~good)
        keep, rows = end - begin, slice(begin, end)
        path.place[rows] = found.place[:keep] + offset
        path.spread_px[rows], path.score[rows] = found.spread[:keep], found.score[:keep]
        other, other_score, before = another(found.scores, found.place, seen.extent_A / pixel_A)
        path.other[rows], path.other_score[rows] = other[:keep] + offset, other_score[:keep]
        path.before[rows] = before[:keep]
        path.blank[rows] = ~good[:keep]
        path.block_first.append(begin)
        path.mean_field.append(mean.astype(np.float32))
        path.field_corner.append((window[2], window[0]))
        alone = good & (other_score < PRESENT)
        path.null_score.append(
            _null(found, seen, path.walk_px, alone, good, np.random.default_rng([seed, begin]))
        )
        path.background.append(_background(counts[:keep], good[:keep], found.place[:keep], path, pixel_A))
        new = region_about(path.place[end - 1], field_shape, size)
        message = carried(found.message, region, new)
        yield begin, counts[:keep], offset, path.place[rows]
        del counts, frames, found  # not to be held while the next block is read
        region, begin = new, end


def _background(counts, good, place, path, pixel_A):
    """Spectrum around the particle from up to BACKGROUND_FRAMES of a block, or None."""
    some = np.flatnonzero(good)
    some = some[:: max(1, len(some) // BACKGROUND_FRAMES)]
    if len(some) == 0:
        return None
    return pixels.background_power(
        counts[some], place[some].mean(0), path.box_px, path.extent_A / pixel_A + 2
    )


class FirstFrames(NamedTuple):
    """Of the whole field, from the first frames: mean count, picture (height, width), faulty pixels (m, 2)."""

    mean_count: float
    picture: np.ndarray
    faulty: np.ndarray


def _first_frames(movie, first, number, area=None):
    """The first frames, or an area (y0, y1, x0, x1) of them, without blank ones; and their mean count."""
    counts = read_frames(movie, first, first + number, area)
    mean_count = float(np.median(counts.mean((1, 2), dtype=float)))
    if mean_count <= 0:
        raise InputError(
            f"the mean count of the first {len(counts)} frames is {mean_count:.3g}; frames must hold electron "
            "counts, so give the movie without background subtraction or normalisation"
        )
    if len(counts) > 1 and (counts[1:] == counts[0]).all():
        raise InputError(
            f"the first {len(counts)} frames are one and the same picture, without noise; give the movie as it was "
            "recorded"
        )
    good = ~pixels.blank_frames(counts, mean_count)
    return (counts if good.all() else counts[good]), mean_count


def _find(movie, first, count, pixel_A, near_px, frames_used, path, shown):
    """Start of the path: place (2,) px and radius, from the first frames; faulty pixels and the mean count.

    A particle whose place is given is looked for in the window about it alone.
    """
    height, width = movie.shape[1:]
    several = int(np.clip(frames_used * 512**2 / (height * width), min(24, frames_used), frames_used))
    several = min(several, count)
    counts = None
    if (first, several) not in shown:
        counts, mean_count = _first_frames(movie, first, several)
        faulty = pixels.faulty_pixels(counts.mean(0, dtype=float))
        picture = pixels.repair(counts, faulty).mean(0, dtype=float)
        shown[first, several] = FirstFrames(mean_count, picture.astype(np.float32), faulty)
    field = shown[first, several]
    path.mean_count, path.faulty, path.picture = field.mean_count, field.faulty, field.picture
    log.info("%d hot or dead pixels repaired", len(path.faulty))
    corner = np.zeros(2)
    if near_px is None:
        if (first, several, pixel_A) not in shown:
            if counts is None:
                counts = pixels.repair(_first_frames(movie, first, several)[0], path.faulty)
            shown[first, several, pixel_A] = look.mean_energy(counts, counts.mean(0, dtype=float), pixel_A)
        scores = shown[first, several, pixel_A]
    else:
        y, x = int(near_px[1]), int(near_px[0])
        y0, y1, x0, x1 = area = window_about((y, y, x, x), movie.shape[1:])
        corner = np.array([x0, y0])
        counts = pixels.repair(_first_frames(movie, first, several, area)[0], inside(path.faulty, area))
        scores, near_px = look.mean_energy(counts, counts.mean(0, dtype=float), pixel_A), near_px - corner
    start, radius_A, height_sd, _ = look.best_ball(scores, pixel_A, near_px)
    start = start + corner
    log.info("found at x %.0f, y %.0f px, radius about %.0f A, height %.1f sd", *start, radius_A, height_sd)
    return start, radius_A


def _about(place, shape, sigma_px):
    """Probability of the first place (rows, columns): a Gaussian, and a little of everywhere."""
    y, x = np.mgrid[: shape[0] // BIN_PX, : shape[1] // BIN_PX] * BIN_PX + 0.5
    near = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * sigma_px**2)) + 1e-3
    return (near / near.sum()).astype(np.float32)


def _learn(counts, good, message, pixel_A, radius_A, settings, path):
    """The particle's look, from the first LEARN_FRAMES of the movie; its step goes into the path."""
    some = counts[:LEARN_FRAMES][good[:LEARN_FRAMES]]
    if len(some) < 2:
        raise InputError(
            "the first frames of the movie are blank; start later with first_frame in the sample sheet"
        )
    static = some.mean(0, dtype=float)
    frames = look.normalised(some, static, np.ones(len(some), bool))
    static = (static - static.mean()) / np.sqrt(static.mean())
    seen = look.with_energy_sd(look.first_look(frames.shape[1:], pixel_A, radius_A), frames)
    for _ in range(LEARN_ROUNDS):
        place = _follow(frames, seen, FIRST_WALK_PX, message, 0).place
        seen = look.measure(frames, static, place, pixel_A, radius_A, settings["shadow"])
    path.extent_A, path.shadow, path.walk_px = seen.extent_A, seen.shadow is not None, settings["walk_px"]
    if not path.walk_px:
        # evidence of neighbouring frames errs alike, which looks like rest: hence twice the likeliest step;
        # and stretches apart, so that one jump does not make a fast walk of all
        evidence, _ = look.weigh(frames, seen)
        stretches = np.array_split(evidence, max(1, len(evidence) // 80))
        walk = 2 * np.median([centre.choose_walk(part) for part in stretches])
        path.walk_px = float(np.clip(walk, *WALK_LIMITS_PX))
    log.info(
        "radius %.1f A, step %.1f px, power at the strongest ring %.1f times the noise, %s shadow",
        seen.extent_A,
        path.walk_px,
        seen.excess.max(),
        "with a" if path.shadow else "no",
    )
    return seen


class Found(NamedTuple):
    """place (n, 2) px in the region, spread (n,), score (n,), message, evidence and score maps (n, rows, columns)."""

    place: np.ndarray
    spread: np.ndarray
    score: np.ndarray
    message: np.ndarray
    evidence: np.ndarray
    scores: np.ndarray


def _follow(frames, seen, walk_px, message, keep):
    """The path through the frames of a block; the message is that at frame `keep`."""
    evidence, score = look.weigh(frames, seen)
    place, spread, _, kept = centre.follow(evidence, walk_px, message, keep)
    return Found(place, spread, centre.along(score, place), kept, evidence, score)


def _refined(frames, seen, walk_px, found, blank):
    """The path as its steps, read from neighbouring frames, say too."""
    radius_A = 0.9 * seen.extent_A
    steps, middle = step_evidence(frames, found.place, seen.pixel_A, seen.excess, radius_A)
    return found._replace(place=refine(found.place, found.evidence, steps, middle, walk_px, blank))


def _null(found, seen, walk_px, alone, good, rng):
    """99.9 % of the running score along the best path once nothing holds together.

    The particle is erased from its path, every frame is shifted at random, and the best path is sought again.
    """
    rows = np.flatnonzero(alone if alone.sum() >= NULL_FRAMES else good)[:300]
    if len(rows) < 2:
        return 0.0
    score = found.scores[rows]
    y, x = np.mgrid[: score.shape[1], : score.shape[2]]
    around = min(1.5 * seen.extent_A / seen.pixel_A / BIN_PX, 0.3 * min(score.shape[1:]))
    for image, (x0, y0) in zip(score, (found.place[rows] - 0.5) / BIN_PX):
        image[np.hypot(x - x0, y - y0) < around] = 0
        image[:] = np.roll(image, rng.integers(0, image.shape), (0, 1))
    place = centre.follow(look.levelled(look.TEMPER * score), walk_px, jump=NULL_JUMP)[0]
    running = running_mean(centre.along(score, place), SCORE_FRAMES)
    return float(np.quantile(running, 0.999))


def _unbinned(image, shape):
    """A binned image back on the frames' pixels, (height, width)."""
    out = np.repeat(np.repeat(image, BIN_PX, 0), BIN_PX, 1)
    return np.pad(out, ((0, shape[0] - out.shape[0]), (0, shape[1] - out.shape[1])), mode="edge")
