"""Fourier shell correlation of two half maps, with the mask's share taken out.

A crystal has little signal between its reflections, and in-focus images have little at low resolution: the
correlation dips there. So the resolution is the last shell that agrees, not the first that does not.
"""

import numpy as np
from scipy import fft

THRESHOLD = 0.143


def _shells(n):
    axis = np.abs(fft.fftfreq(n, 1 / n))
    half = np.arange(n // 2 + 1)
    radius = np.sqrt(np.square(axis)[:, None, None] + np.square(axis)[:, None] + np.square(half))
    shell = np.rint(radius).astype(np.int32)
    weight = np.full(shell.shape, 2.0)
    weight[:, :, 0] = 1
    if n % 2 == 0:
        weight[:, :, -1] = 1
    return shell, weight


def _curve(first, second, shell, weight, shells):
    def total(values):
        return np.bincount(shell.ravel(), (weight * values).ravel(), shells + 1)[: shells + 1]

    cross = total((first * second.conj()).real)
    power = total(np.abs(first) ** 2) * total(np.abs(second) ** 2)
    return np.divide(cross, np.sqrt(power), out=np.zeros(shells + 1), where=power > 0)


def fsc(first, second, mask=None):
    """Correlation of two maps shell by shell.

    first, second : Map of the same box; mask : (n, n, n) or None, multiplied onto both
    returns a dict of arrays, one row a shell from 1 to Nyquist: shell, frequency_per_A, resolution_A, fsc,
    coefficients (independent ones in the shell); and the resolution, angstrom, see `resolution`
    """
    n, pixel = first.data.shape[0], first.pixel_A
    shells = n // 2
    shell, weight = _shells(n)
    mask = 1 if mask is None else mask
    spectra = [fft.rfftn(np.asarray(m.data * mask, np.float32)) for m in (first, second)]
    curve = _curve(*spectra, shell, weight, shells)
    table = _table(curve, shell, weight, n, pixel)
    return table, resolution(table)


def _table(curve, shell, weight, n, pixel):
    shells = np.arange(1, n // 2 + 1)
    count = np.bincount(shell.ravel(), weight.ravel())[shells] / 2
    frequency = shells / (n * pixel)
    return {
        "shell": shells,
        "frequency_per_A": frequency,
        "resolution_A": 1 / frequency,
        "fsc": curve[shells],
        "coefficients": count,
    }


def resolution(table, threshold=THRESHOLD, column="fsc"):
    """Period, angstrom, of the last shell whose correlation is above the threshold and above chance.

    Chance is three standard deviations of unrelated shells whose maps fill half of their box (the sphere that
    fits does), 3 / sqrt(coefficients). Between that shell and
    the next one the crossing is interpolated linearly in frequency. Infinity where no shell agrees.
    """
    curve = np.asarray(table[column], float)
    limit = np.maximum(threshold, 3 / np.sqrt(np.maximum(table["coefficients"], 1)))
    good = np.flatnonzero(curve >= limit)
    if not len(good):
        return np.inf
    last = good[-1]
    frequency = np.asarray(table["frequency_per_A"], float)
    if last + 1 == len(curve):
        return float(1 / frequency[last])
    above, below = curve[last] - limit[last], limit[last + 1] - curve[last + 1]
    share = above / (above + below) if above + below > 0 else 0.0
    return float(1 / (frequency[last] + share * (frequency[last + 1] - frequency[last])))


def corrected_fsc(first, second, mask, seed=0, randomise_below=0.8):
    """FSC with the correlation that the mask itself brings taken out (Chen et al. 2013).

    Phases beyond the first shell where the unmasked FSC has fallen below `randomise_below` for good are
    randomised in both maps; what then still correlates under the mask is the mask's.
    returns the table of `fsc` with fsc (corrected), fsc_masked, fsc_unmasked, fsc_random; the resolution
    """
    n = first.data.shape[0]
    shell, weight = _shells(n)
    table, _ = fsc(first, second)
    unmasked = table["fsc"]
    masked = fsc(first, second, mask)[0]["fsc"]
    agree = np.flatnonzero(unmasked >= randomise_below)
    start = int(table["shell"][agree[-1]]) + 1 if len(agree) else 2
    rng = np.random.default_rng(seed)
    spectra = []
    for half in (first, second):
        spectrum = fft.rfftn(np.asarray(half.data, np.float32))
        # the transform of real noise keeps the symmetry that real maps have
        noise = fft.rfftn(rng.standard_normal(half.data.shape).astype(np.float32))
        mixed = np.where(
            shell >= start, np.abs(spectrum) * noise / np.maximum(np.abs(noise), 1e-30), spectrum
        )
        spectra.append(fft.rfftn(fft.irfftn(mixed, (n,) * 3) * mask))
    random = _curve(*spectra, shell, weight, n // 2)[table["shell"]]
    # the two shells next to the step are mixed by the mask and say nothing (same reference)
    beyond = table["shell"] >= start + 2
    share = np.where(beyond, np.clip(random, 0, 0.99), 0)
    corrected = np.where(beyond, (masked - share) / (1 - share), masked)
    table |= {"fsc": corrected, "fsc_masked": masked, "fsc_unmasked": unmasked, "fsc_random": random}
    return table, resolution(table)


def fsc_columns():
    """Unit and meaning of every column of the tables of this module."""
    return {
        "shell": ("", "cycles per box"),
        "frequency_per_A": ("1/A", "spatial frequency"),
        "resolution_A": ("A", "period of the shell"),
        "fsc": ("", "correlation of the half maps, the mask's share taken out where a mask was used"),
        "coefficients": ("", "independent Fourier coefficients in the shell"),
        "fsc_masked": ("", "correlation under the mask"),
        "fsc_unmasked": ("", "correlation of the whole boxes"),
        "fsc_random": ("", "correlation under the mask after randomising phases beyond the first shells"),
    }
