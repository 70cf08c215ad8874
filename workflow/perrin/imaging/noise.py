"""The noise of a stack of boxes: its spectrum outside the particle, and its level."""

import numpy as np
from scipy import fft

from perrin.files.errors import InputError

CHUNK = 256
# 1.05-1.35 per angstrom at 0.358 angstrom a pixel: beyond what atoms scatter into, below the corner
QUIET_BAND = (0.752, 0.967)


def _outside(n, pixel_A, inner_A):
    """(n, n) soft window, 0 within inner_A of the centre and at the border, 1 between."""
    axis = np.arange(n) - n // 2
    radius = np.hypot(axis[:, None], axis) * pixel_A
    edge = 6 * pixel_A
    taper = np.clip((n / 2 - np.abs(axis) - 0.5) * pixel_A / edge, 0, 1)
    taper = 0.5 - 0.5 * np.cos(np.pi * taper)
    hole = 0.5 - 0.5 * np.cos(np.pi * np.clip((radius - inner_A) / edge, 0, 1))
    return (taper[:, None] * taper * hole).astype(np.float32)


def radial_psd(images, pixel_A, inner_A=0.0):
    """Power spectral density of a stack, averaged over frames and rings.

    images : (f, n, n), any sequence of chunks that slices
    inner_A : radius about the centre that is left out, angstrom; 0 takes the whole box (without a taper)
    returns frequency (k,) per angstrom and power (k,), shells 1..n/2; white noise of unit variance has power 1
    """
    n = images.shape[-1]
    if inner_A > 0:
        window = _outside(n, pixel_A, inner_A)
        if np.mean(np.square(window)) < 0.02:
            raise InputError(
                f"a particle of radius {inner_A:g} A leaves no room for noise in a box of {n * pixel_A:.1f} A: "
                f"enlarge box_px to {int(np.ceil(2 * (inner_A + 5) / pixel_A))} or more"
            )
    else:
        window = np.ones((n, n), np.float32)
    ring = np.rint(np.hypot(fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1))).astype(int)
    weight = np.full(ring.shape, 2.0)
    weight[:, 0] = 1
    if n % 2 == 0:
        weight[:, -1] = 1
    power = np.zeros(ring.shape)
    for first in range(0, len(images), CHUNK):
        part = np.asarray(images[first : first + CHUNK], np.float32)
        mean = np.sum(part * window, axis=(1, 2), keepdims=True) / window.sum()
        power += np.square(np.abs(fft.rfft2((part - mean) * window))).sum(0, dtype=float)
    power /= max(len(images), 1) * np.sum(np.square(window, dtype=float))
    shells = np.arange(1, n // 2 + 1)
    sums = np.bincount(ring.ravel(), (weight * power).ravel())[shells]
    return shells / (n * pixel_A), sums / np.bincount(ring.ravel(), weight.ravel())[shells]


def noise_level(images, pixel_A, band=None, inner_A=0.0):
    """Standard deviation of a pixel's noise, from the spectrum where atoms scatter nothing.

    band : (low, high) frequency per angstrom; None: 0.75-0.97 of Nyquist (1.05-1.35 at 0.358 A)
    """
    nyquist = 0.5 / pixel_A
    low, high = (QUIET_BAND[0] * nyquist, QUIET_BAND[1] * nyquist) if band is None else band
    frequency, power = radial_psd(images, pixel_A, inner_A)
    inside = (frequency >= low) & (frequency <= high)
    if not inside.any():
        raise InputError(
            f"no frequency between {low:g} and {high:g} per A: Nyquist is at {nyquist:.3g} per A"
        )
    # a shell of more coefficients says more
    return float(np.sqrt(np.average(power[inside], weights=frequency[inside])))
