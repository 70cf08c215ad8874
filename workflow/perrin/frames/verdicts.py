"""What to think of a path: a verdict on every frame, and whether there was a particle at all."""

import logging

import numpy as np
from scipy import ndimage

from perrin.files.errors import InputError
from perrin.frames.path import SCORE_FRAMES, running_mean

log = logging.getLogger("perrin")

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


def verdicts(path, running, field_shape, pixel_A):
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


def judge(path, name):
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
