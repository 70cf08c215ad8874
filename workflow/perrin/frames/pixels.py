"""Raw frames before anything else: faulty pixels, blank frames, boxes cut from the field."""

import numpy as np
from numba import njit, prange
from scipy import fft

FAULTY_SD = 8.0
RUN = 128  # pixels whose medians are found at once


def faulty_pixels(mean_image):
    """Hot and dead pixels of a temporal mean image (height, width): indices (n, 2), row and column.

    Faulty: off the median of its 5 x 5 neighbourhood by more than FAULTY_SD robust standard deviations.
    """
    off = mean_image - _median_5x5(np.pad(np.asarray(mean_image, float), 2, mode="symmetric"))
    sd = 1.4826 * np.median(np.abs(off - np.median(off)))
    return np.argwhere(np.abs(off) > FAULTY_SD * max(sd, 1e-3 * abs(mean_image.mean()) + 1e-12))


@njit(cache=True, parallel=True)
def _median_5x5(padded):
    """Median of the 5 x 5 pixels about each pixel of an image that has two more all round.

    Of 14 of the 25 values neither the least nor the largest is the median: both are dropped for one more value, and so
    on until one is left. A whole run of pixels takes each step at once.
    """
    height, width = padded.shape[0] - 4, padded.shape[1] - 4
    out = np.empty((height, width))
    for row in prange(height):
        for left in range(0, width, RUN):
            run = min(RUN, width - left)
            kept = np.empty((14, RUN))
            for number in range(14):
                for x in range(run):
                    kept[number, x] = padded[row + number // 5, left + x + number % 5]
            number = 14
            for size in range(14, 2, -1):
                for i in range(size - 1):
                    _in_order(kept[i], kept[i + 1], run)
                for i in range(size - 2, 0, -1):
                    _in_order(kept[i - 1], kept[i], run)
                if number < 25:
                    for x in range(run):
                        kept[0, x] = padded[row + number // 5, left + x + number % 5]
                    number += 1
            for x in range(run):
                out[row, left + x] = kept[1, x]
    return out


@njit(cache=True, inline="always")
def _in_order(lower, upper, run):
    """Exchange values of two rows where they are not in order."""
    for x in range(run):
        a, b = lower[x], upper[x]
        lower[x] = a if a < b else b
        upper[x] = b if a < b else a


def repair(frames, faulty):
    """Replace faulty pixels (n, 2) of frames (f, height, width), in place, by the mean of good neighbours.

    Integers get the mean rounded.
    """
    if len(faulty) == 0:
        return frames
    height, width = frames.shape[1:]
    bad = {(int(row), int(column)) for row, column in faulty}
    for row, column in bad:
        around = [
            (y, x)
            for y in range(max(row - 1, 0), min(row + 2, height))
            for x in range(max(column - 1, 0), min(column + 2, width))
            if (y, x) not in bad
        ]
        if around:
            y, x = np.transpose(around)
            mean = frames[:, y, x].mean(1)
            frames[:, row, column] = np.rint(mean) if frames.dtype.kind in "iu" else mean
    return frames


def blank_frames(frames, typical):
    """Frames without an image, (f,) bool: no electrons, far too many, or more than 1 % at one upper limit.

    typical : mean count of an ordinary frame
    """
    mean, top, share = _mean_and_top(frames)
    saturated = (share > 0.01) & (top > 2 * typical)
    return (mean < 0.3 * typical) | (mean > 3 * typical) | saturated


@njit(cache=True, parallel=True)
def _mean_and_top(frames):
    """Mean of each frame, its largest value, and the share of its pixels that have it; (f,) each."""
    count, height, width = frames.shape
    mean, top, share = np.empty(count), np.empty(count), np.empty(count)
    for frame in prange(count):
        total, best, number = 0.0, frames[frame, 0, 0], 0
        for row in range(height):
            part = 0  # a whole number where the counts are
            for column in range(width):
                value = frames[frame, row, column]
                part += value
                best = max(best, value)
            total += part
        for row in range(height):
            for column in range(width):
                number += frames[frame, row, column] == best
        mean[frame], top[frame], share[frame] = total / (height * width), best, number / (height * width)
    return mean, top, share


def cut_boxes(frames, corner, box_px):
    """Boxes (f, box_px, box_px) float32 at integer corners (f, 2), x and y of the box's pixel (0, 0).

    Pixels outside of the frame get the mean of the part of the box inside.
    """
    height, width = frames.shape[1:]
    boxes = np.empty((len(frames), box_px, box_px), np.float32)
    for box, frame, (x, y) in zip(boxes, frames, corner):
        y0, y1, x0, x1 = max(y, 0), min(y + box_px, height), max(x, 0), min(x + box_px, width)
        if y0 >= y1 or x0 >= x1:
            box[:] = frame.mean()
            continue
        inside = frame[y0:y1, x0:x1]
        if inside.size < box.size:
            box[:] = inside.mean(dtype=float)
        box[y0 - y : y1 - y, x0 - x : x1 - x] = inside
    return boxes


def background_power(frames, centre, box_px, extent_px):
    """Mean power spectrum of the boxes around the particle, (box_px, box_px), zero frequency at box_px // 2.

    Up to eight boxes, one box width away from the particle's or, where the field is too small for that, as far
    as it allows; the particle's own place is left out by weight. Noise of counted electrons has power 1.
    frames : (f, height, width) counts; centre : (2,) x and y, mean place of the particle; extent_px : radius
    that is left out. Returns None where no box fits.
    """
    height, width = frames.shape[1:]
    if min(height, width) < box_px:
        return None
    taper = np.hanning(box_px + 2)[1:-1]
    middle = np.asarray(centre) - box_px // 2
    corners = set()
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            x = int(np.clip(middle[0] + right * box_px, 0, width - box_px))
            y = int(np.clip(middle[1] + down * box_px, 0, height - box_px))
            if (right, down) != (0, 0):
                corners.add((x, y))
    power, weights = np.zeros((box_px, box_px // 2 + 1)), 0.0
    for x, y in sorted(corners):
        rows, columns = np.mgrid[y : y + box_px, x : x + box_px]
        away = np.hypot(columns - centre[0], rows - centre[1]) - extent_px
        weight = (taper[:, None] * taper * np.clip(away / 6, 0, 1)).astype(np.float32)
        if weight.sum() < 0.1 * taper.sum() ** 2:
            continue
        for first in range(0, len(frames), 64):
            box = frames[first : first + 64, y : y + box_px, x : x + box_px].astype(np.float32)
            mean = (box * weight).sum((1, 2), keepdims=True) / weight.sum()
            part = fft.rfft2((box - mean) * (weight / np.sqrt(np.maximum(mean, 1e-6))))
            power += (part.real**2 + part.imag**2).sum(0)
        weights += len(frames) * np.square(weight).sum()
    if weights == 0:
        return None
    # the other half plane is the same, turned by half a turn
    other = np.roll(power[::-1], 1, 0)[:, 1 : (box_px + 1) // 2][:, ::-1]
    return np.fft.fftshift(np.hstack([power, other]) / weights).astype(np.float32)
