"""Where two sheets of graphene lie: the azimuths of their reflections, from an average of the field.

The reflections of one sheet at angle t lie at 1/2.13 1/A and azimuths t + 60 m (first order), at 1/1.23 1/A and
t + 30 + 60 m (second) and at 1/1.06 1/A and t + 60 m (twice the first). Angles are known modulo 60 degrees.
"""

import numpy as np
import scipy.fft
from scipy.optimize import minimize

GRAPHENE_A = 2.4612  # lattice constant; nearest carbon atoms are 1.421 A apart
# orders of reflection: (length in 1/angstrom, azimuth from the sheet's angle in degrees)
ORDERS = ((2 / (np.sqrt(3) * GRAPHENE_A), 0.0), (2 / GRAPHENE_A, 30.0), (4 / (np.sqrt(3) * GRAPHENE_A), 0.0))
EXCLUSION_DEG = 3.0  # a second peak nearer than this to the first is the same sheet


def reflections(angle_deg, scale=1.0, orders=3):
    """(3 * orders, 2) vectors (kx, ky) in 1/angstrom, one of each pair k, -k; scale multiplies lengths."""
    rows = []
    for length, offset in ORDERS[:orders]:
        azimuth = np.radians(angle_deg + offset + 60 * np.arange(3))
        rows.append(scale * length * np.stack([np.cos(azimuth), np.sin(azimuth)], 1))
    return np.concatenate(rows)


def difference_deg(a, b):
    """Signed difference a - b of angles known modulo 60, in [-30, 30)."""
    return (np.asarray(a) - b + 30) % 60 - 30


def mean_angle_deg(angles, weights=None):
    """Circular mean modulo 60, in [0, 60); NaN entries are left out."""
    angles = np.asarray(angles, float)
    weights = np.ones_like(angles) if weights is None else np.asarray(weights, float)
    keep = np.isfinite(angles)
    if not keep.any():
        return np.nan
    z = (weights[keep] * np.exp(6j * np.radians(angles[keep]))).sum()
    return float(np.degrees(np.angle(z)) / 6 % 60)


def spread_deg(angles):
    """Circular standard deviation modulo 60, degrees."""
    angles = np.asarray(angles, float)
    angles = angles[np.isfinite(angles)]
    if len(angles) < 2:
        return np.nan
    return float(
        np.degrees(np.sqrt(-2 * np.log(max(abs(np.exp(6j * np.radians(angles)).mean()), 1e-12)))) / 6
    )


def _window(n):
    return np.hanning(n + 2)[1:-1]


def _orders_in_reach(pixel_A):
    return sum(length < 0.45 / pixel_A for length, _ in ORDERS[:2])


def angle_scores(image, pixel_A, step_deg=0.25, scales=None):
    """Evidence of one sheet at every angle: sum over reflections of log(1 + power / background of the ring).

    The logarithm asks for all six spots of an order: one strong spot of the particle does not make a sheet.
    image : (y, x); scales : factors on the lengths that are tried, the best one counts
    -> angles (m,) degrees in [0, 60), scores (m,)
    """
    image = np.asarray(image, float)
    scales = np.linspace(0.97, 1.03, 13) if scales is None else scales
    window = _window(image.shape[0])[:, None] * _window(image.shape[1])
    padded = scipy.fft.next_fast_len(
        int(min(4 * max(image.shape), max(2048, 2 * max(image.shape)))), real=True
    )
    flat = (image - (image * window).sum() / window.sum()) * window
    power = np.abs(scipy.fft.rfft2(flat, (padded, padded))) ** 2
    angles = np.arange(0, 60, step_deg)
    azimuth = np.radians(np.arange(0, 180, step_deg))
    score = np.zeros((len(scales), len(angles)))
    for length, offset in ORDERS[: _orders_in_reach(pixel_A)]:
        for i, scale in enumerate(scales):
            k = length * scale * pixel_A * padded
            kx, ky = k * np.cos(azimuth), k * np.sin(azimuth)
            flip = kx < 0
            kx, ky = np.where(flip, -kx, kx), np.where(flip, -ky, ky) % padded
            ring = power[np.rint(ky).astype(int) % padded, np.rint(kx).astype(int)]
            ring = np.log1p(ring / np.median(ring)).reshape(3, -1).sum(0)
            score[i] += np.roll(ring, -round(offset / step_deg))
    return angles, score.max(0)


def _explained(angles, scale, image, pixel_A, orders):
    """Power of the image explained by plane waves at all reflections of the sheets, and the waves' amplitudes.

    Linear least squares under a separable window; overlapping reflections of two sheets are told apart as
    far as the data do.
    """
    k = np.concatenate([reflections(a, scale, orders) for a in angles])
    k = np.concatenate([k, -k])
    wy, wx = _window(image.shape[0]), _window(image.shape[1])
    ey = np.exp(2j * np.pi * pixel_A * np.outer(np.arange(image.shape[0]), k[:, 1]))
    ex = np.exp(2j * np.pi * pixel_A * np.outer(np.arange(image.shape[1]), k[:, 0]))
    b = np.einsum("yk,yk->k", ey.conj(), (image * (wy[:, None] * wx)) @ ex.conj())
    gram = ((ey.conj().T * wy) @ ey) * ((ex.conj().T * wx) @ ex)
    gram += 1e-6 * np.trace(gram).real / len(gram) * np.eye(len(gram))
    amplitude = np.linalg.solve(gram, b)
    return float((b.conj() @ amplitude).real), amplitude


def _model(angles, scale, image, pixel_A, orders):
    """The fitted plane waves, (y, x)."""
    amplitude = _explained(angles, scale, image, pixel_A, orders)[1]
    k = np.concatenate([reflections(a, scale, orders) for a in angles])
    k = np.concatenate([k, -k])
    ey = np.exp(2j * np.pi * pixel_A * np.outer(np.arange(image.shape[0]), k[:, 1]))
    ex = np.exp(2j * np.pi * pixel_A * np.outer(np.arange(image.shape[1]), k[:, 0]))
    return ((ey * amplitude) @ ex.T).real


def _refine(angles, image, pixel_A, orders):
    """Angles and common scale that explain most power, from a start within about a degree."""
    norm = max(_explained(angles, 1.0, image, pixel_A, orders)[0], 1e-300)

    def lost(p):
        return -_explained(p[:-1], 1 + p[-1] / 100, image, pixel_A, orders)[0] / norm

    first = np.r_[angles, 0.0]
    simplex = np.vstack([first, first + 0.7 * np.eye(len(first))])
    options = {"initial_simplex": simplex, "xatol": 0.01, "fatol": 1e-7, "maxiter": 150}
    fit = minimize(lost, first, method="Nelder-Mead", options=options)
    return fit.x[:-1], 1 + fit.x[-1] / 100


def find_sheets(image, pixel_A, start=None, most=2, threshold=6.0):
    """The angles of up to two sheets in an image, and how far its pixel size agrees with graphene.

    image : (y, x) counts, the average of many frames
    start : angles to refine instead of a search
    threshold : robust standard deviations that a peak must stand above the scores of all angles
    -> dict: angle_deg (list), amplitude (list: mean amplitude of the first order's waves as a share of the mean
       count), scale (measured length over expected: the pixel size from graphene
       is the given one times scale), waves (per sheet,
       (9,) complex amplitudes of the reflections as in `reflections`, counts)
    """
    mean = float(np.mean(image))
    flat = np.asarray(image, float) - mean
    orders = _orders_in_reach(pixel_A)
    if orders == 0 or min(image.shape) * pixel_A < 15:
        return {"angle_deg": [], "amplitude": [], "scale": np.nan, "waves": []}
    if start is None:
        found, left = [], flat
        while len(found) < most:
            angles, score = angle_scores(left, pixel_A)
            middle = np.median(score)
            spread = 1.4826 * np.median(np.abs(score - middle)) + 1e-12
            for known in found:
                score[np.abs(difference_deg(angles, known)) < EXCLUSION_DEG] = -np.inf
            best = int(np.argmax(score))
            if score[best] < middle + threshold * spread:
                break
            found.append(angles[best])
            # the next search is in what the sheets so far leave, so that their flanks are no peaks
            fitted, scale = _refine(found, flat, pixel_A, orders)
            left = flat - _model(fitted, scale, flat, pixel_A, orders)
    else:
        found = [a for a in start if np.isfinite(a)]
    if not found:
        return {"angle_deg": [], "amplitude": [], "scale": np.nan, "waves": []}

    angle, scale = _refine(found, flat, pixel_A, orders)
    waves = _explained(angle, scale, flat, pixel_A, orders)[1]
    waves = waves[: len(waves) // 2].reshape(len(angle), -1)
    waves = np.pad(waves, ((0, 0), (0, 9 - waves.shape[1])))
    return {
        "angle_deg": [float(a % 60) for a in angle],
        "amplitude": [float(2 * np.abs(w[:3]).mean() / abs(mean)) if mean else np.nan for w in waves],
        "scale": float(scale),
        "waves": list(waves),
    }
