"""What to think of a path: a verdict on every frame, and whether there was a particle at all."""

import logging

import numpy as np
from scipy import ndimage

from perrin.files.errors import InputError
from perrin.frames.beside import LEAP_PX, seen_beside
from perrin.frames.path import SCORE_FRAMES, running_mean

log = logging.getLogger("perrin")

LEAST_SCORE = 1.3  # sd; empty fields reach 1.1
NOTHING = 1.25  # times what shuffled frames reach: below, there is no particle
DOUBTFUL = 2.0
PLAIN_SCORE = 4.0  # sd; above, the particle stands out whatever shuffled frames reach
LOST_SHARE = 0.3  # of the median score
UNSURE_PX = 3.0  # spread of the place; 2.5 at most where the particle is plain
LEAP_WALKS = 5.0  # the same after a gap: times the walk over it
LEAP_FRAMES = 3  # next to a leap that may be on either side of it
WAS_THERE = 0.8  # sd of the score where the path leaps to, in the frames before: something was there
RIM = (
    1.3  # radii from the border within which the particle's own score is too unlike itself to tell another's
)
MEETING_FRAMES = 25  # after an encounter, in which the two are not yet told apart
PASSING_FRAMES = 120  # that another particle takes to pass
AFAR = 2.0  # radii from which another particle comes, or to which it goes
TOUCH = 1.8  # radii between two particles that overlap; where the energy has fallen to 3 % is 1.1 radii


def verdicts(path, running, field_shape, pixel_A):
    """ok, edge, crowded, lost or blank for each frame."""
    ends = [*path.block_first[1:], len(running)]
    lost, low = np.zeros(len(running), bool), np.zeros(len(running), bool)
    # other particles raise what shuffled frames reach, hence the second limit
    most = LOST_SHARE * np.median(path.score[~path.blank])
    for begin, end, high in zip(path.block_first, ends, path.null_score):
        limit = min(max(high, LEAST_SCORE), most)
        lost[begin:end] = running[begin:end] < limit
        few = running_mean(path.score[begin:end], 3)
        low[begin:end] = np.minimum(few, path.score[begin:end]) < most
    # the running mean knows a gap by its middle: it reaches as far as the frames themselves are low
    lost |= path.spread_px > UNSURE_PX
    lost = ndimage.binary_dilation(lost, iterations=SCORE_FRAMES, mask=lost | low)
    reach = path.extent_A / pixel_A
    apart = np.linalg.norm(path.other - path.place, axis=1)
    beside = seen_beside(path.other_score)
    inside = np.minimum(path.place, [field_shape[1] - 1, field_shape[0] - 1] - path.place).min(1)
    edge = inside < reach
    touching = (apart < TOUCH * reach) & (inside > RIM * reach)
    # where the path leaps any sign of another counts; otherwise one that came from somewhere
    lost = _mistaken(path, lost, _closed(beside & touching, PASSING_FRAMES), beside)
    other = _another(beside, path.other_score, apart, AFAR * reach)
    crowded = _closed(other & touching, PASSING_FRAMES)
    verdict = np.where(edge, "edge", np.where(crowded, "crowded", "ok"))
    verdict = np.where(lost, "lost", verdict)
    return np.where(path.blank, "blank", verdict)


def _another(beside, score, apart, far_px):
    """Of the stretches in which something shows beside the particle, those in which it is another one, (n,) bool.

    It is seen far off too, or is plain. What never leaves the rim and stays faint is the end of a particle that is not
    round: one of 1 : 1 : 2 reaches 2.8 sd.
    """
    stretch, count = ndimage.label(beside)
    if count == 0:
        return beside
    rows = np.arange(1, count + 1)
    farthest, top = ndimage.maximum(apart, stretch, rows), ndimage.maximum(score, stretch, rows)
    return np.r_[False, (np.asarray(farthest) > far_px) | (np.asarray(top) > PLAIN_SCORE)][stretch]


def _closed(frames, most):
    """Frames (n,) bool with gaps of less than `most` filled: who comes and goes has been there in between."""
    wide = np.pad(frames, most)
    return ndimage.binary_closing(wide, np.ones(most))[most:-most]


def _mistaken(path, lost, crowded, beside):
    """The lost frames, and those in which the path may have been on another particle, (n,) bool.

    A path that goes over to another particle comes back by a leap, sooner or later, and to a place at which something
    was before. What lies between two leaps that end where they began is then not the particle's, nor what lies
    between such a leap and an encounter with another one.
    """
    sure = np.flatnonzero(~lost & ~path.blank)
    before, after = sure[:-1], sure[1:]
    length = np.linalg.norm(path.place[after] - path.place[before], axis=1)
    long = length > np.maximum(LEAP_PX, LEAP_WALKS * path.walk_px * np.sqrt(after - before))
    leaps = list(zip(before[long], after[long], length[long]))
    was_there = ndimage.maximum_filter1d(path.before, LEAP_FRAMES, origin=-(LEAP_FRAMES // 2)) > WAS_THERE
    out = lost.copy()
    for number, (here, there, far) in enumerate(leaps):
        out[max(here - LEAP_FRAMES + 1, 0) : there + LEAP_FRAMES] = True
        for _, back, _ in leaps[number + 1 :]:
            home = np.linalg.norm(path.place[back] - path.place[here])
            full = was_there[back] or crowded[max(back - MEETING_FRAMES, 0) : back].any()
            if back - here < PASSING_FRAMES and home < max(far / 2, LEAP_PX) and full:
                out[here + 1 : back] = True
        met = np.flatnonzero(crowded[max(there - PASSING_FRAMES, 0) : there])
        if len(met) and was_there[there]:
            out[max(there - PASSING_FRAMES, 0) + met[-1] : there] = True
        # before an encounter only where the other one is there already: a particle may jump by itself
        met = np.flatnonzero(crowded[here : here + PASSING_FRAMES])
        if len(met) and beside[max(here - LEAP_FRAMES, 0) : there + LEAP_FRAMES].any():
            out[here + 1 : here + met[0] + 1] = True
    return out


def judge(path, name):
    """Say how far the particle stands out; refuse a field that holds nothing."""
    ordinary = max(float(np.median(path.null_score)), LEAST_SCORE / NOTHING)
    here = float(np.median(path.score[~path.blank])) if (~path.blank).any() else 0.0
    ratio = here / ordinary
    log.info("score %.1f sd; once nothing holds together at most %.1f", here, ordinary)
    if ratio < NOTHING and here < PLAIN_SCORE:
        raise InputError(
            f"{name}: no particle was found; the best path scores {here:.2f}, shuffled frames {ordinary:.2f}; "
            "check pixel_size_A, give its place in the first frames as x_px and y_px, or leave the trajectory out"
        )
    if ratio < DOUBTFUL and here < PLAIN_SCORE:
        log.warning("%s: the particle hardly stands out of the noise (%.1f times)", name, ratio)
