"""Local low-pass filtering whose cut-off the other half map chooses, voxel by voxel.

After Punjani, Zhang and Fleet 2020: a bank of filtered copies of each half is compared with the other half
as measured; where the local squared difference is least, the filter fits. A filter that blurs the signal and
one that keeps noise both raise it, so nothing needs to be set.
"""

import numpy as np
from scipy import fft, ndimage

from perrin.files.records import Map

BANK_A = (3.0, 2.5, 2.0, 1.75, 1.5, 1.25, 1.0, 0.9, 0.8)
ORDER = 8


def butterworth(n, pixel_A, cutoff_A, order=ORDER):
    """(n, n, n // 2 + 1) low-pass that passes half of the amplitude at the period cutoff_A, order of rfftn."""
    axis = fft.fftfreq(n, pixel_A)
    squared = np.square(axis)[:, None, None] + np.square(axis)[:, None] + np.square(fft.rfftfreq(n, pixel_A))
    return (1 / (1 + (squared * cutoff_A**2) ** (order / 2))).astype(np.float32)


def nonuniform(first, second, bank_A=BANK_A, window_A=2.0):
    """Filter two half maps locally, with one cut-off a voxel that serves both.

    first, second : Map, of disjoint frames
    bank_A : periods of the filters, angstrom; those below two pixels are left out
    window_A : standard deviation of the Gaussian over which differences are averaged
    returns two Map and the cut-off of each voxel, angstrom, (n, n, n) float32
    """
    n, pixel = first.data.shape[0], first.pixel_A
    halves = [np.asarray(m.data, np.float32) for m in (first, second)]
    spectra = [fft.rfftn(half) for half in halves]
    least = np.full(halves[0].shape, np.inf, np.float32)
    chosen = [np.zeros_like(half) for half in halves]
    cutoffs = np.zeros(halves[0].shape, np.float32)
    for cutoff in sorted((c for c in bank_A if c > 2 * pixel), reverse=True):
        window = butterworth(n, pixel, cutoff)
        filtered = [fft.irfftn(spectrum * window, (n,) * 3) for spectrum in spectra]
        error = np.square(filtered[0] - halves[1]) + np.square(filtered[1] - halves[0])
        error = ndimage.gaussian_filter(error, window_A / pixel, mode="nearest", truncate=3)
        better = error < least
        least[better] = error[better]
        cutoffs[better] = cutoff
        for best, new in zip(chosen, filtered, strict=True):
            best[better] = new[better]
    return Map(chosen[0], pixel), Map(chosen[1], pixel), cutoffs
