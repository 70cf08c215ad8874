"""Holes in a frame's spectrum at the reflections of graphene sheets."""

import numpy as np
import scipy.fft

from perrin.frames.sheets import ORDERS, reflections

PUBLISHED_HALF_WIDTHS_PX = (3.0, np.sqrt(6.0), np.sqrt(3.0))  # 2.13, 1.23, 1.06 angstrom


def _grid(n, pixel_A):
    return np.fft.fftfreq(n, pixel_A)[:, None], np.fft.rfftfreq(n, pixel_A)[None, :]


def spot_coefficients(angles, n, pixel_A, half_width_A1, scale=1.0):
    """The Fourier coefficients near the sheets' reflections, in the layout of rfft2 of an (n, n) frame.

    half_width_A1 : 1/angstrom, one number, or one for each of the three orders
    -> spots: list of (order, wave, indices (m,) into the flattened rfft2, distance (m,) over the half-width);
       wave counts the rows of `sheets.reflections` through all sheets; both k and -k that fall into the half
       plane of the rfft are there
    """
    ky, kx = _grid(n, pixel_A)
    widths = np.broadcast_to(half_width_A1, 3)
    limit = 0.5 / pixel_A
    spots = []
    for sheet, angle in enumerate(angles):
        for row, k in enumerate(reflections(angle, scale)):
            width = widths[row // 3]
            if np.abs(k).max() > limit:
                continue
            for sign in (1, -1):
                distance = np.hypot(kx - sign * k[0], ky - sign * k[1]) / width
                inside = np.flatnonzero(distance <= 1)
                if len(inside):
                    spots.append((row // 3, 9 * sheet + row, inside, distance.ravel()[inside]))
    return spots


def multiply_holes(frames, angles, pixel_A):
    """The published filter: coefficients times 1 - (1 - d^2)^2, half-widths 3, sqrt 6, sqrt 3 Fourier pixels.

    frames : (f, n, n); exact radii are used, where the program rounds all three to one integer
    """
    n = frames.shape[-1]
    widths = np.array(PUBLISHED_HALF_WIDTHS_PX) / (n * pixel_A)
    weight = np.ones(n * (n // 2 + 1), np.float32)
    for _, _, index, distance in spot_coefficients(angles, n, pixel_A, widths):
        weight[index] = np.minimum(weight[index], 1 - (1 - distance**2) ** 2)
    spectrum = scipy.fft.rfft2(frames) * weight.reshape(n, -1)
    return scipy.fft.irfft2(spectrum, s=(n, n)).astype(np.float32)


def inpaint_holes(frames, angles, pixel_A, half_width_A1, expected, scale=1.0, guard_sd=3.0):
    """Bring coefficients at the sheets' reflections down to the typical amplitude of their ring, phases kept.

    A spot that stands more than guard_sd standard deviations above what the sheet alone explains also holds a
    reflection of the particle and is left as it is.

    A hole is never narrower than a Fourier pixel, the width of a wave seen through the box.
    frames : (f, n, n) float32; expected : (waves,) amplitude that the sheet alone gives a coefficient (wave
    amplitude times the number of pixels), rows as in `sheets.reflections`
    -> frames (f, n, n) float32, share of spots that were protected
    """
    n = frames.shape[-1]
    ky, kx = _grid(n, pixel_A)
    radius = np.hypot(kx, ky).ravel()
    half_width_A1 = max(half_width_A1, 1 / (n * pixel_A))
    spots = spot_coefficients(angles, n, pixel_A, half_width_A1, scale)
    spectrum = scipy.fft.rfft2(frames).reshape(len(frames), -1)
    if not spots:
        return frames.astype(np.float32), 0.0
    holes = np.unique(np.concatenate([s[2] for s in spots]))
    outside = np.ones(len(radius), bool)
    outside[holes] = False
    typical = {}
    for order, (length, _) in enumerate(ORDERS):
        ring = np.flatnonzero((np.abs(radius - scale * length) < half_width_A1) & outside)
        if len(ring):
            # the median of a Rayleigh amplitude is sqrt(ln 4) standard deviations of one component
            typical[order] = np.median(np.abs(spectrum[:, ring]), axis=1)
    factor = np.ones((len(frames), len(holes)), np.float32)
    place = np.full(len(radius), -1)
    place[holes] = np.arange(len(holes))
    protected = total = 0
    for order, wave, index, _ in spots:
        if order not in typical:
            continue
        amplitude = np.abs(spectrum[:, index])
        level = typical[order][:, None]
        sd = level / np.sqrt(np.log(4))
        guard = amplitude.max(1, keepdims=True) > expected[wave] + level + guard_sd * sd
        new = np.where(guard, 1.0, np.minimum(1.0, level / np.maximum(amplitude, 1e-12)))
        factor[:, place[index]] = np.minimum(factor[:, place[index]], new)
        protected += int(guard.sum())
        total += guard.size
    spectrum[:, holes] *= factor
    cleaned = scipy.fft.irfft2(spectrum.reshape(len(frames), n, -1), s=(n, n)).astype(np.float32)
    return cleaned, protected / max(total, 1)
