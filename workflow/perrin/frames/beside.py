"""Another particle beside the followed one: seen in what the followed one's own score does not explain."""

import numpy as np
from scipy import ndimage

from perrin.frames import centre, look
from perrin.frames.energy import BIN_PX

OTHER_WALK_PX = 2.0  # one that passes goes faster
OTHER_FRAMES = 9  # running mean of its score
CORE = 1.0  # radii of the followed particle within which nothing is told apart
PROFILE_FRAMES = 200
OWN_SHARE = 1.5  # of the particle's own mean score about it is put down to itself: it is not round, and turns
LEAP_PX = 8.0  # step of a path that may be one onto another particle
BEFORE = (5, 25)  # frames
PRESENT = 2.2  # sd of the running score; noise reaches 2.0
FAINT = 1.5  # the same, before and after frames in which it is present


def another(score, place, extent_px):
    """The most visible other particle in a block: path (n, 2) px, running score (n,) sd; and `before`, (n,) sd.

    score : (n, rows, columns) sd, on bins of BIN_PX; place : (n, 2) px, of the followed particle;
    extent_px : its radius. Without another one the score is that of the best path through noise, about 1.
    before : where the path has leapt, the mean score at its new place in the BEFORE frames before, less its own: 0.2 is
    chance, more says that the place was not empty.
    """
    radius = extent_px / BIN_PX
    at = (place - 0.5) / BIN_PX
    own = ndimage.uniform_filter1d(centre.along(score, place), OTHER_FRAMES, mode="nearest")
    tail = _tail(score, at, own, radius)
    y, x = np.arange(score.shape[1])[:, None], np.arange(score.shape[2])[None]
    rings = np.arange(len(tail)) + 0.5
    here = centre.along(score, place)
    left = np.empty_like(score)
    for frame, (column, row) in enumerate(at):
        apart = np.hypot(x - column, y - row).astype(np.float32)
        left[frame] = score[frame] - OWN_SHARE * here[frame] * np.interp(apart, rings, tail, right=0.0)
        left[frame][apart < CORE * radius] = 0
    before = _before(left, place)
    found = centre.follow(look.levelled(look.TEMPER * left), OTHER_WALK_PX)[0]
    return found, ndimage.uniform_filter1d(centre.along(left, found), OTHER_FRAMES, mode="nearest"), before


def _before(left, place):
    """See `another`; left : (n, rows, columns), what the followed particle leaves of the score."""
    near, far = BEFORE
    out = np.zeros(len(place))
    for frame in range(near + 1, len(place)):
        if np.linalg.norm(place[frame] - place[frame - near]) > LEAP_PX:
            column, row = np.rint((place[frame] - 0.5) / BIN_PX).astype(int)
            around = np.s_[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
            out[frame] = left[(slice(max(frame - far, 0), frame - near), *around)].mean(0).max(initial=0.0)
    return out


def _tail(score, at, own, radius):
    """The particle's own score at rings of one bin about it, over its height, up to 2.5 radii: median over frames."""
    count = int(2.5 * radius)
    y, x = np.arange(score.shape[1])[:, None], np.arange(score.shape[2])[None]
    rows = np.flatnonzero(own >= np.median(own))
    rows = rows[:: max(1, len(rows) // PROFILE_FRAMES)]
    shapes = np.full((len(rows), count), np.nan)
    for shape, frame in zip(shapes, rows):
        ring = np.hypot(x - at[frame, 0], y - at[frame, 1]).astype(int).ravel()
        near = ring < count
        number = np.bincount(ring[near], minlength=count)
        mean = np.bincount(ring[near], score[frame].ravel()[near], count) / np.maximum(number, 1)
        shape[number > 0] = mean[number > 0]
    heights = shapes[:, :1]
    known = np.isfinite(shapes).any(0)
    tail = np.zeros(count)
    tail[known] = np.nanmedian((shapes / np.where(heights > 0, heights, np.nan))[:, known], axis=0)
    return np.nan_to_num(tail)


def seen_beside(strength):
    """Frames in which another particle shows, (n,) bool: stretches of score above FAINT that reach PRESENT."""
    stretch, count = ndimage.label(strength > FAINT)
    if count == 0:
        return np.zeros(len(strength), bool)
    top = ndimage.maximum(strength, stretch, np.arange(1, count + 1))
    return np.r_[False, np.asarray(top) > PRESENT][stretch]
