"""The movie read once, piece by piece, for all who follow a particle in it: nobody else reads frames.

A tracker is a generator that yields what it wants of the movie and is sent the frames.
"""

import logging
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numba import njit, prange

from perrin.files.errors import InputError
from perrin.files.movies import refuse_nonfinite
from perrin.frames import pixels
from perrin.frames.region import inside

log = logging.getLogger("perrin")

READ_BYTES = 64_000_000
MOST_AT_ONCE = 64  # frames


class Wanted(NamedTuple):
    """What a tracker asks for next: frames first .. stop - 1 of the movie, rows and columns (y0, y1, x0, x1)."""

    first: int
    stop: int
    window: tuple


class Tail(NamedTuple):
    """Frames that a block has read and the next one reads again: from frame `first` on, (n, h, w) of a window."""

    first: int
    window: tuple
    frames: np.ndarray


def frames_at_once(movie):
    """How many frames make one piece of the movie, the same for all its particles, by their size in memory."""
    size = movie.shape[1] * movie.shape[2] * movie.dtype.itemsize
    return int(np.clip(READ_BYTES // size, 1, MOST_AT_ONCE))


def _kept_type(movie):
    """Type in which counts are kept: small integers as they are, which takes less memory, all else float32."""
    small = movie.dtype.kind in "iu" and movie.dtype.itemsize <= 2
    return movie.dtype.newbyteorder("=") if small else np.float32


def read_region(movie, begin, stop, region, window, faulty, mean_count, keep=0, tail=None):
    """Counts of a region, frames begin .. stop - 1, and the mean of the window about it, in one reading.

    A generator: it yields what it wants of the movie, piece by piece, and is sent the frames (n, h, w); so several
    particles can share one reading of the movie.
    movie : as of open_movie, for its shape and type; region, window : (y0, y1, x0, x1), the region inside the window
    faulty : (m, 2) pixels of the field to repair; mean_count : of an ordinary frame
    keep : so many of the last frames go into the tail; tail : of the block before, to be used where it fits
    Returns counts (n, h, w), float32 or the movie's own small integers; good (n,) bool (not blank), mean of the good
    frames (window's shape) float64, tail.
    """
    top, left = region[0] - window[0], region[2] - window[2]
    height, width = region[1] - region[0], region[3] - region[2]
    step = frames_at_once(movie)
    counts = np.empty((stop - begin, height, width), _kept_type(movie))
    good = np.empty(stop - begin, bool)
    total = np.zeros((window[1] - window[0], window[3] - window[2]))
    own, around = inside(faulty, region), inside(faulty, window)
    last = None
    low = begin
    while low < stop:
        if tail is not None and tail.window == window and 0 <= low - tail.first < len(tail.frames):
            part = tail.frames[low - tail.first :][: stop - low]
        else:
            high = min((low // step + 1) * step, stop)
            part = np.ascontiguousarray((yield Wanted(low, high, window)))
        high = low + len(part)
        rows = slice(low - begin, high - begin)
        counts[rows] = part[:, top : top + height, left : left + width]
        refuse_nonfinite(part, movie, low)
        pixels.repair(counts[rows], own)
        good[rows] = ~pixels.blank_frames(counts[rows], mean_count)
        _accumulate(total, part, good[rows])
        if high > stop - keep:
            if last is None:
                start = max(stop - keep, begin)
                last = Tail(start, window, np.empty((stop - start, *total.shape), part.dtype))
            skipped = max(last.first - low, 0)
            last.frames[low + skipped - last.first : high - last.first] = part[skipped:]
        low = high
    mean = total / good.sum() if good.any() else np.full_like(total, mean_count)
    return counts, good, pixels.repair(mean[None], around)[0], last


def in_one_pass(movie, trackers):
    """Run trackers side by side while the movie is read once, from its first frame wanted to its last.

    movie : as of open_movie; trackers : {name: (first frame that it will want, generator that yields Wanted)}
    The piece of the movie that is read next is the earliest that anyone wants, so that one who goes back a few frames
    is waited for, and nothing is kept for those to come.
    Yields (name, value that the generator returned or None, InputError that ended it or None) as each ends.
    """
    step = frames_at_once(movie)
    at = {name: first for name, (first, _) in trackers.items()}
    wanted, ended = dict.fromkeys(trackers), []

    def go_on(name, reply=None, error=None):
        generator = trackers[name][1]
        try:
            with named(name if len(trackers) > 1 else ""):
                wanted[name] = generator.throw(error) if error else generator.send(reply)
            at[name] = wanted[name].first
            return
        except StopIteration as end:
            ended.append((name, end.value, None))
        except InputError as refusal:
            ended.append((name, None, refusal))
        del at[name], wanted[name]

    while at:
        piece = min(at.values()) // step
        here = [name for name, first in at.items() if first // step == piece]
        for name in here:
            if wanted[name] is None:
                go_on(name)
        here = [name for name, first in at.items() if first // step == piece and wanted[name]]
        if here:
            first = min(wanted[name].first for name in here)
            stop = max(wanted[name].stop for name in here)
            try:
                parts = movie.windows(first, stop, [wanted[name].window for name in here])
            except InputError as error:
                parts = [error] * len(here)
            for name, part in zip(here, parts):
                window = wanted[name].window
                while name in at and _holds(first, stop, window, wanted[name]):
                    if isinstance(part, InputError):
                        go_on(name, error=part)
                    else:
                        go_on(name, part[wanted[name].first - first : wanted[name].stop - first])
        yield from ended
        ended.clear()


def _holds(first, stop, window, wanted):
    return wanted.window == window and first <= wanted.first and wanted.stop <= stop


@contextmanager
def named(name):
    """Begin what is logged by a particle's name."""

    def mark(record):
        record.msg = f"{name}: {record.msg}"
        return True

    if name:
        log.addFilter(mark)
    try:
        yield
    finally:
        if name:
            log.removeFilter(mark)


def read_frames(movie, begin, stop, area=None):
    """A copy of frames begin .. stop - 1, whole or an area (y0, y1, x0, x1) of them; refused where not numbers.

    float32 or the movie's own small integers
    """
    counts = movie.sections(begin, stop) if area is None else movie.window(begin, stop, area)
    counts = np.array(counts, _kept_type(movie))
    refuse_nonfinite(counts, movie, begin)
    return counts


@njit(cache=True, parallel=True)
def _accumulate(total, frames, good):
    """Add the good frames (n, h, w) to total (h, w); one row of pixels a thread, so the order is fixed."""
    for row in prange(total.shape[0]):
        for frame in range(frames.shape[0]):
            if good[frame]:
                for column in range(total.shape[1]):
                    total[row, column] += frames[frame, row, column]
