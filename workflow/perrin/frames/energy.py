"""Where the lattice is: energy of the frames in the band of the metal's reflections.

In focus, with a corrected lens, a nanocrystal has hardly any contrast at low resolution: it neither
brightens nor darkens the field, it only adds lattice texture. What shows it is the energy in the band of its first
reflections, gathered over the outline of the particle.
"""

import numpy as np
from numba import njit, prange
from scipy import fft

FIRST_BAND = (0.38, 0.56)  # 1/A: {111} and {200} of the fcc metals, lattice constants 3.5 to 4.1 A
BIN_PX = 2
LEVEL_BINS = 5
SPECTRUM_STEP = 0.02  # 1/A
FFT_BYTES = (
    750_000  # of frames that are transformed at once: what a core's own cache holds is done twice as fast
)


def frequencies(shape, pixel_A):
    """|k| of each term of rfft2 of an image of this shape (height, width), 1/A."""
    return np.hypot(fft.fftfreq(shape[0], pixel_A)[:, None], fft.rfftfreq(shape[1], pixel_A)[None])


def first_gain(shape, pixel_A):
    """Gain of the first look, which knows no spectrum: FIRST_BAND with soft edges, (height, width // 2 + 1)."""
    k = frequencies(shape, pixel_A)
    low, high = FIRST_BAND
    return (1 / (1 + np.exp((low - k) / 0.005)) / (1 + np.exp((k - high) / 0.005))).astype(np.float32)


def measured_gain(shape, pixel_A, excess):
    """Gain sqrt(S / (1 + S)) for a particle whose power spectrum exceeds the noise (1) by S.

    excess : S at frequencies (i + 1/2) SPECTRUM_STEP. Every independent piece of texture then counts alike
    where it stands out of the noise: reflections of higher order add places to compare, which matters more
    than their strength, since the texture itself is what limits the centre.
    """
    k = frequencies(shape, pixel_A)
    at = (np.arange(len(excess)) + 0.5) * SPECTRUM_STEP
    s = np.interp(k, at, np.clip(excess, 0, None), right=0.0)
    return np.sqrt(s / (1 + s)).astype(np.float32)


def padded_shape(shape):
    """The next sizes that the FFT likes."""
    return fft.next_fast_len(shape[0], real=True), fft.next_fast_len(shape[1], real=True)


def band_energy(frames, gain, padded):
    """Energy in a band on pixels of BIN_PX, (n, height // 2, width // 2) float32, less that of the background.

    frames : (n, height, width) float32, normalised to noise 1, static field subtracted
    gain : of the padded shape, (padded[0], padded[1] // 2 + 1)
    """
    n, height, width = frames.shape
    energy = np.empty((n, height // BIN_PX, width // BIN_PX), np.float32)
    step = _at_once(padded)
    for first in range(0, n, step):
        spectrum = fft.rfft2(frames[first : first + step], s=padded)
        spectrum *= gain
        _binned_square(fft.irfft2(spectrum, s=padded, overwrite_x=True), energy[first : first + step])
    energy -= _level(energy)
    return energy


def _at_once(padded):
    """How many images of a padded shape are transformed at once, by as many threads as scipy's FFT may use."""
    return max(1, FFT_BYTES // (4 * padded[0] * padded[1])) * fft.get_workers()


@njit(cache=True, parallel=True)
def _binned_square(band, energy):
    """Means of the squared band (n, ...) over BIN_PX x BIN_PX pixels, into energy (n, rows, columns)."""
    share = np.float32(1 / BIN_PX**2)
    for frame in prange(energy.shape[0]):
        for row in range(energy.shape[1]):
            for column in range(energy.shape[2]):
                total = np.float32(0)
                for down in range(BIN_PX):
                    for right in range(BIN_PX):
                        value = band[frame, row * BIN_PX + down, column * BIN_PX + right]
                        total += value * value
                energy[frame, row, column] = total * share


def _level(energy):
    """Energy of the background, (n, 1, 1): median of means over LEVEL_BINS x LEVEL_BINS bins.

    The median of single bins lies below the mean of the noise, and what is left would gather in the middle of the
    field, where a weight finds most bins.
    """
    n, rows, columns = energy.shape
    high, wide = rows // LEVEL_BINS, columns // LEVEL_BINS
    if high * wide < 9:
        return medians(energy)
    means = np.empty((n, high, wide), np.float32)
    _level_means(energy, means)
    return medians(means)


@njit(cache=True, parallel=True)
def _level_means(energy, means):
    share = np.float32(LEVEL_BINS**2)
    for frame in prange(means.shape[0]):
        for row in range(means.shape[1]):
            for column in range(means.shape[2]):
                total = np.float32(0)
                for down in range(LEVEL_BINS):
                    part = np.float32(0)
                    for right in range(LEVEL_BINS):
                        part += energy[frame, row * LEVEL_BINS + down, column * LEVEL_BINS + right]
                    total += part
                means[frame, row, column] = total / share


def medians(images):
    """Median of each image, (n, 1, 1): as numpy's, which sorts out twice as much of an even number of values."""
    values = images.reshape(len(images), -1)
    middle = values.shape[1] // 2
    parted = np.partition(values, middle, axis=1)
    found = parted[:, middle]
    if values.shape[1] % 2 == 0:
        found = (found + parted[:, :middle].max(1)) / 2
    return found[:, None, None]


def binned(images):
    """Means over BIN_PX x BIN_PX pixels; an odd last row or column is left out."""
    rows, columns = images.shape[1] // BIN_PX * BIN_PX, images.shape[2] // BIN_PX * BIN_PX
    out = np.zeros((len(images), rows // BIN_PX, columns // BIN_PX), np.float32)
    for down in range(BIN_PX):
        for right in range(BIN_PX):
            out += images[:, down:rows:BIN_PX, right:columns:BIN_PX]
    out *= np.float32(1 / BIN_PX**2)
    return out


def correlate_radial(images, profile, step):
    """Correlation of images with a radially symmetric weight, zero outside of the images.

    images : (n, height, width); profile : weights at radii (i + 1/2) step, in pixels of the images, zero
    beyond; returns (n, height, width) float32.
    """
    height, width = images.shape[1:]
    reach = int(np.ceil(len(profile) * step))
    padded = padded_shape((height + reach, width + reach))
    y = fft.fftfreq(padded[0], 1 / padded[0])
    x = fft.fftfreq(padded[1], 1 / padded[1])
    radius = np.hypot(y[:, None], x[None])
    weight = np.interp(radius, (np.arange(len(profile)) + 0.5) * step, profile, right=0.0)
    weight[radius > reach] = 0
    kernel = fft.rfft2(weight.astype(np.float32))
    out = np.empty(images.shape, np.float32)
    step = _at_once(padded)
    for first in range(0, len(images), step):
        spectrum = fft.rfft2(images[first : first + step], s=padded)
        spectrum *= kernel
        out[first : first + step] = fft.irfft2(spectrum, s=padded, overwrite_x=True)[:, :height, :width]
    return out


def ball_profile(radius, step=1.0):
    """Thickness of a ball along the beam at radii (i + 1/2) step; 1 in the middle."""
    at = (np.arange(int(np.ceil(radius / step))) + 0.5) * step
    return np.sqrt(np.clip(1 - (at / radius) ** 2, 0, None))


def radial_mean(images, centres, step, reach):
    """Mean of images over rings about the centres, and over the frames; NaN for rings without a pixel.

    images : (n, height, width); centres : (n, 2), x and y in pixels of the images
    Returns values at radii (i + 1/2) step up to `reach`.
    """
    count = int(np.ceil(reach / step))
    total, number = np.zeros(count), np.zeros(count)
    y, x = np.arange(images.shape[1])[:, None], np.arange(images.shape[2])[None]
    for image, (x0, y0) in zip(images, centres):
        ring = (np.hypot(x - x0, y - y0) / step).astype(int).ravel()
        near = ring < count
        total += np.bincount(ring[near], image.ravel()[near], count)
        number += np.bincount(ring[near], minlength=count)
    with np.errstate(invalid="ignore"):
        return total / number


def radial_spectrum(boxes, weight, pixel_A):
    """Power spectrum of boxes under a weight, noise 1 where the boxes have unit variance.

    boxes : (n, size, size); weight : (size, size). Returns means over rings of SPECTRUM_STEP, 1/A.
    """
    power = np.zeros((boxes.shape[1], boxes.shape[2] // 2 + 1))
    for first in range(0, len(boxes), 64):
        part = fft.rfft2(boxes[first : first + 64] * weight)
        power += (part.real**2 + part.imag**2).sum(0)
    power /= len(boxes) * np.square(weight).sum()
    ring = (frequencies(boxes.shape[1:], pixel_A) / SPECTRUM_STEP).astype(int).ravel()
    return np.bincount(ring, power.ravel()) / np.maximum(np.bincount(ring), 1)


def noise_energy(gain, padded):
    """Mean energy of white noise of unit variance behind a gain."""
    weight = np.full(padded[1] // 2 + 1, 2.0)
    weight[0] = 1.0
    if padded[1] % 2 == 0:
        weight[-1] = 1.0
    return float((np.square(gain, dtype=float) * weight).sum() / (padded[0] * padded[1]))
