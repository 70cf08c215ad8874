"""The particle's path: a random walk seen through a map of evidence in every frame."""

import numpy as np
from numba import njit, prange

from perrin.frames.energy import BIN_PX

JUMP = 1e-7  # chance, per frame and bin, of being anywhere next
WALKS_PX = (0.25, 0.4, 0.6, 0.9, 1.4, 2.0)
MAX_NATS = 60.0


@njit(fastmath=True, forceinline=True)
def _diffuse(values, out, share):
    """One step of a random walk of variance `share` (bins^2) per axis; the border reflects."""
    height, width = values.shape
    side, stay = np.float32(share / 2), np.float32(1 - share)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            out[y, x] = stay * values[y, x] + side * (values[up, x] + values[down, x])
    for y in range(height):
        before = out[y, 0]
        for x in range(width):
            here = out[y, x]
            after = out[y, min(x + 1, width - 1)]
            out[y, x] = stay * here + side * (before + after)
            before = here


@njit(fastmath=True, forceinline=True)
def _step(values, spare, share, repeats, jump):
    """Random walk and, rarely, a jump to anywhere; values are changed in place and sum to one."""
    for _ in range(repeats):
        _diffuse(values, spare, share)
        values[:] = spare
    total = np.float32(values.sum())
    scale = np.float32(1 / (total * (1 + jump * values.size)))
    lift = np.float32(jump / (1 + jump * values.size))
    for y in range(values.shape[0]):
        for x in range(values.shape[1]):
            values[y, x] = values[y, x] * scale + lift


@njit(cache=True, fastmath=True)
def _forward_backward(evidence, start, share, repeats, jump, keep):
    count, height, width = evidence.shape
    message = start.copy()
    spare = np.empty_like(message)
    forward = np.empty_like(evidence)
    kept = start.copy()
    total = 0.0
    for frame in range(count):
        if frame == keep:
            kept[:] = message
        best = evidence[frame].max()
        for y in range(height):
            for x in range(width):
                message[y, x] *= np.exp(max(evidence[frame, y, x] - best, np.float32(-MAX_NATS)))
        norm = message.sum()
        total += np.log(norm) + best
        message *= np.float32(1 / norm)
        forward[frame] = message
        _step(message, spare, share, repeats, jump)
    place = np.empty((count, 2))
    spread = np.empty(count)
    message[:] = 1.0 / (height * width)
    for frame in range(count - 1, -1, -1):
        mass, sx, sy, sxx = 0.0, 0.0, 0.0, 0.0
        for y in range(height):
            for x in range(width):
                p = forward[frame, y, x] * message[y, x]
                mass += p
                sx += p * x
                sy += p * y
                sxx += p * (x * x + y * y)
        place[frame, 0], place[frame, 1] = sx / mass, sy / mass
        variance = sxx / mass - place[frame, 0] ** 2 - place[frame, 1] ** 2
        spread[frame] = np.sqrt(max(variance, 0.0) / 2)
        best = evidence[frame].max()
        for y in range(height):
            for x in range(width):
                message[y, x] *= np.exp(max(evidence[frame, y, x] - best, np.float32(-MAX_NATS)))
        _step(message, spare, share, repeats, jump)
    return place, spread, total, kept


def follow(evidence, walk_px, start=None, keep=0, jump=JUMP):
    """Posterior mean of the centre in every frame, given evidence on a grid: exact forward-backward sums.

    evidence : (n, height, width) float32, log likelihood on bins of BIN_PX pixels, up to a constant a frame;
        all equal where a frame says nothing
    walk_px : rms of one step along one axis; jump : chance of being in any one bin of the next frame instead
    start : (height, width) probability of the place before the first frame, None: anywhere
    keep : frame whose incoming message is returned, to go on from there in the next block
    Returns place (n, 2) x and y in pixels of the frames (bin i covers pixels 2 i and 2 i + 1), spread (n,) px
    per axis, log evidence, message (height, width).
    """
    height, width = evidence.shape[1:]
    if start is None:
        start = np.full((height, width), 1 / (height * width), np.float32)
    variance = (walk_px / BIN_PX) ** 2
    repeats = max(1, int(np.ceil(variance / 0.5)))
    place, spread, total, kept = _forward_backward(
        np.ascontiguousarray(evidence, np.float32),
        np.ascontiguousarray(start, np.float32),
        variance / repeats,
        repeats,
        jump,
        keep,
    )
    return place * BIN_PX + (BIN_PX - 1) / 2, spread * BIN_PX, total, kept


@njit(cache=True, parallel=True)
def level_peaks(evidence, reach, height):
    """Cut every peak of the evidence (n, rows, columns), in place, to at most `height`, shapes kept.

    From each bin is subtracted what the largest value within `reach` bins has above `height`. Without it a frame that
    shows the particle weakly and another particle strongly would be worth a leap there and back.
    """
    count, rows, columns = evidence.shape
    for frame in prange(count):
        image = evidence[frame]
        # most[y, x]: largest of the values from there on, 1, 2, 4 ... of them, then 2 reach + 1, along both axes
        most = np.full((rows + 2 * reach, columns + 2 * reach), -np.inf, evidence.dtype)
        most[reach : reach + rows, reach : reach + columns] = image
        span = 1
        while span < 2 * reach + 1:
            step = min(span, 2 * reach + 1 - span)
            for y in range(rows + 2 * reach):
                for x in range(columns + 2 * reach - step):
                    most[y, x] = max(most[y, x], most[y, x + step])
            for y in range(rows + 2 * reach - step):
                for x in range(columns + 2 * reach):
                    most[y, x] = max(most[y, x], most[y + step, x])
            span += step
        for y in range(rows):
            for x in range(columns):
                if most[y, x] > height:
                    image[y, x] -= most[y, x] - height


def choose_walk(evidence):
    """The step of WALKS_PX under which the evidence is most likely."""
    return max(WALKS_PX, key=lambda walk: follow(evidence, walk)[2])


def along(images, place_px):
    """Values of binned images (n, height, width) at places (n, 2) given in pixels of the frames: nearest bin."""
    column = np.clip(np.rint((place_px[:, 0] - 0.5) / BIN_PX).astype(int), 0, images.shape[2] - 1)
    row = np.clip(np.rint((place_px[:, 1] - 0.5) / BIN_PX).astype(int), 0, images.shape[1] - 1)
    return images[np.arange(len(images)), row, column]
