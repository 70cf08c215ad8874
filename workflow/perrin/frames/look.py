"""What the particle looks like to the tracker: found once in the first frames, measured, then looked for.

place, radius, *_ = best_ball(mean_energy(...))     where and how large, no path yet
look = measure(frames, place, pixel_A)              weights made from the frames themselves
evidence, score = weigh(frames, look)               log likelihood of the centre, frame by frame
"""

import logging
from dataclasses import dataclass

import numpy as np
from numba import njit, prange
from scipy import fft

from perrin.files.errors import InputError
from perrin.frames import centre, energy
from perrin.frames.energy import BIN_PX, SPECTRUM_STEP

log = logging.getLogger("perrin")

RADII_A = np.arange(5.0, 19.0, 1.0)
COARSEST_A = 1.1  # pixels; coarser ones do not sample the metals' first reflections
LEAST_FIELD_A = 20.0  # the smallest ball and some room about it
LOWEST_LATTICE = 0.30  # 1/A; below is shadow and slow background
HIGHEST_SIGNAL = 1.05  # 1/A; above is noise alone
LEAST_EXCESS = 0.03  # of the noise power: below, a frequency holds no particle
CHUNK = 64
FIND_BYTES = 30_000_000
TEMPER = 3.0  # nats per unit of score: texture persists for about ten frames, so frames are not independent
SHADOW_TEMPER = 0.25  # the slow background persists even longer
LEAST_SHADOW_NATS = 2.0
SHADOW_GROUPS = 8
SHADOW_SIGMA = 4.0
PEAK_NATS = 10.0
PEAK_REACH_PX = 16


@dataclass(frozen=True)
class Look:
    """Weights of the tracker. pixel_A; shape: of the frames; gain: of the lattice band; outline: weights of
    the energy at radii (i + 1/2) bins; energy_sd: of the correlated energy where there is no particle;
    shadow: mean low-resolution image at radii (i + 1/2) bins, noise 1, or None; shadow_kernel: its matched
    filter on the binned grid, or None; extent_A: radius where the energy has fallen to 3 %; excess: power over
    noise at frequencies (i + 1/2) SPECTRUM_STEP, or None."""

    pixel_A: float
    shape: tuple
    gain: np.ndarray
    outline: np.ndarray
    energy_sd: float
    shadow: np.ndarray | None
    shadow_kernel: np.ndarray | None
    extent_A: float
    excess: np.ndarray | None


def mean_of(counts, good):
    """Mean of the good frames (n, height, width), float64, without a copy of them."""
    total = np.zeros(counts.shape[1:])
    for frame, fine in zip(counts, good):
        if fine:
            total += frame
    return total / max(int(good.sum()), 1)


def normalised(counts, static, good):
    """(counts - static) / sqrt(mean count), float32; frames that are not good become zero."""
    mean = max(float(static.mean()), 1e-6)
    out = np.empty(counts.shape, np.float32)
    _normalise(counts, static.astype(np.float32), good, np.float32(1 / np.sqrt(mean)), out)
    return out


@njit(cache=True, parallel=True)
def _normalise(counts, static, good, scale, out):
    for frame in prange(len(counts)):
        for row in range(counts.shape[1]):
            for column in range(counts.shape[2]):
                value = np.float32(counts[frame, row, column]) - static[row, column]
                out[frame, row, column] = value * scale if good[frame] else np.float32(0)


def mean_energy(counts, static, pixel_A):
    """Mean lattice energy of frames on bins of BIN_PX, (rows, columns) float32.

    counts : (n, height, width), the first frames of the movie; static : (height, width), their mean
    """
    padded = energy.padded_shape(counts.shape[1:])
    gain = energy.first_gain(padded, pixel_A)
    mean, step = 0.0, max(1, FIND_BYTES // (4 * padded[0] * padded[1]))
    for first in range(0, len(counts), step):
        part = counts[first : first + step]
        frames = normalised(part, static, np.ones(len(part), bool))
        mean = mean + energy.band_energy(frames, gain, padded).sum(0)
    return (mean / len(counts)).astype(np.float32)


def refuse_pixel(name, movie, pixel_A):
    """InputError where pixels of this size show no lattice, or where the whole field is smaller than a particle."""
    height, width = movie.shape[1:]
    narrow = min(height, width) * pixel_A
    if pixel_A > COARSEST_A:
        reason = f"cannot show lattice planes, which are 2 to 2.4 A apart (at most {COARSEST_A:g} A a pixel)"
    elif narrow < LEAST_FIELD_A:
        reason = (
            f"make the field of {width} x {height} px only {narrow:.1f} A wide (at least {LEAST_FIELD_A:g} A)"
        )
    else:
        return
    own = "" if movie.pixel_size_A is None else f"; the file says {movie.pixel_size_A:.5g} A"
    raise InputError(
        f"{name}: pixels of {pixel_A:.5g} A {reason}; correct pixel_size_A in the sample sheet (angstrom, 0.1 nm){own}"
    )


def best_ball(mean, pixel_A, near_px=None, radii_A=RADII_A):
    """Place (2,) x and y, radius (A), height (sd of the map) and distinction of the ball that best explains a map.

    mean : (rows, columns) on bins of BIN_PX; near_px : (2,), look only within 12 A of it
    The distinction is the ball's score in robust standard deviations of the scores of all places.
    """
    best = None
    for radius_A in radii_A:
        profile = energy.ball_profile(radius_A / pixel_A / BIN_PX)
        if 2 * len(profile) > min(mean.shape):
            break
        score = energy.correlate_radial(mean[None], profile, 1.0)[0]
        score = (score - np.median(score)) / np.sqrt(len(profile) ** 2)
        spread = 1.4826 * np.median(np.abs(score))
        if near_px is not None:
            y, x = np.mgrid[: score.shape[0], : score.shape[1]] * BIN_PX + 0.5
            score[np.hypot(x - near_px[0], y - near_px[1]) > 12 / pixel_A] = -np.inf
        row, column = np.unravel_index(score.argmax(), score.shape)
        if best is None or score[row, column] > best[0]:
            best = (score[row, column], column, row, radius_A, spread)
    height, column, row, radius_A, spread = best
    sd = 1.4826 * np.median(np.abs(mean - np.median(mean)))
    place = np.array([column, row]) * BIN_PX + 0.5
    return place, float(radius_A), float(height / max(sd, 1e-12)), float(height / max(spread, 1e-12))


def first_look(shape, pixel_A, radius_A):
    """The look of a ball about which nothing but its radius is known."""
    gain = energy.first_gain(energy.padded_shape(shape), pixel_A)
    outline = energy.ball_profile(radius_A / pixel_A / BIN_PX)
    return Look(pixel_A, shape, gain, outline, np.nan, None, None, radius_A, None)


def with_energy_sd(look, frames):
    """The look with the noise of its score measured on frames (most of the field holds no particle)."""
    score = _energy_score(frames[:: max(1, len(frames) // 100)], look)
    sd = 1.4826 * float(np.median(np.abs(score - np.median(score, axis=(1, 2), keepdims=True))))
    return Look(**{**look.__dict__, "energy_sd": max(sd, 1e-12)})


def measure(frames, static, place, pixel_A, radius_A, shadow=True):
    """The look of the particle, from frames whose centres are roughly known.

    frames : (n, height, width) normalised; static : (height, width), what was subtracted from them, in the same
    units; place : (n, 2) px; radius_A : a first guess
    """
    shape = frames.shape[1:]
    padded = energy.padded_shape(shape)
    excess = _excess_spectrum(frames, place, pixel_A, radius_A)
    gain = energy.measured_gain(padded, pixel_A, excess)
    if not gain.any():
        gain = energy.first_gain(padded, pixel_A)
    reach = min(2.2 * radius_A / pixel_A / BIN_PX, 0.7 * max(shape) / BIN_PX)
    rings, chunks = 0.0, range(0, len(frames), CHUNK)
    for first in chunks:
        rows = slice(first, first + CHUNK)
        part = energy.band_energy(frames[rows], gain, padded)
        rings = rings + len(part) * energy.radial_mean(part, (place[rows] - 0.5) / BIN_PX, 1.0, reach)
    rings = rings / len(frames)
    edge, outline, thickness = _outline(rings, radius_A / pixel_A / BIN_PX, energy.noise_energy(gain, padded))
    extent_A = (edge + 0.5) * BIN_PX * pixel_A
    dark, kernel = _shadow(frames, static, place, pixel_A, thickness) if shadow else (None, None)
    look = Look(pixel_A, shape, gain, outline, np.nan, dark, kernel, extent_A, excess)
    return with_energy_sd(look, frames)


def weigh(frames, look):
    """Evidence for the centre on bins of BIN_PX: log likelihood (n, rows, columns), and the energy's score in sd.

    frames : (n, height, width) normalised, of look.shape
    """
    n = len(frames)
    rows, columns = look.shape[0] // BIN_PX, look.shape[1] // BIN_PX
    evidence = np.empty((n, rows, columns), np.float32)
    score = np.empty_like(evidence)
    for first in range(0, n, CHUNK):
        part = frames[first : first + CHUNK]
        lattice = _energy_score(part, look)
        lattice -= energy.medians(lattice)
        lattice /= look.energy_sd
        score[first : first + CHUNK] = lattice
        evidence[first : first + CHUNK] = TEMPER * lattice
        if look.shadow_kernel is not None:
            padded = _shadow_padding(look.shape)
            spectrum = fft.rfft2(energy.binned(part), s=padded) * look.shadow_kernel
            dark = fft.irfft2(spectrum, s=padded)[:, :rows, :columns]
            evidence[first : first + CHUNK] += SHADOW_TEMPER * dark
    blank = ~frames.any((1, 2))
    evidence[blank] = 0
    score[blank] = 0
    return levelled(evidence), score


def levelled(evidence):
    """Evidence whose peaks are cut, in place, to PEAK_NATS each."""
    centre.level_peaks(evidence, PEAK_REACH_PX // BIN_PX, np.float32(PEAK_NATS))
    return evidence


def _energy_score(frames, look):
    padded = energy.padded_shape(look.shape)
    energies = energy.band_energy(frames, look.gain, padded)
    return energy.correlate_radial(energies, look.outline, 1.0)


def _excess_spectrum(frames, place, pixel_A, radius_A):
    """Power spectrum of the particle over that of the noise, less one, on rings of SPECTRUM_STEP."""
    size = int(min(min(frames.shape[1:]), 2 * np.ceil(1.6 * radius_A / pixel_A)))
    corner = np.rint(place).astype(int) - size // 2
    limit = np.array([frames.shape[2] - size, frames.shape[1] - size])
    corner = np.clip(corner, 0, limit)
    boxes = np.stack([frame[y : y + size, x : x + size] for frame, (x, y) in zip(frames, corner)])
    y, x = (np.mgrid[:size, :size] - size // 2) * pixel_A
    weight = np.exp(-0.5 * ((x**2 + y**2) / radius_A**2) ** 2)
    power = energy.radial_spectrum(boxes, weight.astype(np.float32), pixel_A)
    k = (np.arange(len(power)) + 0.5) * SPECTRUM_STEP
    noise = np.median(power[(k > HIGHEST_SIGNAL) & (k < 0.48 / pixel_A)]) if k[-1] > HIGHEST_SIGNAL else 1.0
    excess = power / max(noise, 1e-12) - 1
    excess[(excess < LEAST_EXCESS) | (k < LOWEST_LATTICE) | (k > 0.47 / pixel_A)] = 0
    return excess


def _outline(rings, guess, noise):
    """Ring at which the energy s has fallen to 3 %, the weights s / (s + noise) up to it, and s over its height.

    The weights are those of the likelihood ratio of two variances, noise and noise + s. Averaged over many views the
    energy is proportional to the particle's thickness: a reflection's power, integrated over its tilt, is its chord.
    """
    far = int(min(1.5 * guess, len(rings) - 3))
    base = np.nanmedian(rings[far:])
    excess = np.clip(np.nan_to_num(rings - base), 0, None)
    height = excess[: max(2, int(0.4 * guess))].mean()
    below = np.flatnonzero(excess[1:] < 0.03 * height)
    edge = int(below[0]) + 1 if len(below) else len(excess) - 1
    excess = excess[: max(edge, 2)]
    excess[:2] = height
    return edge, excess / (excess + noise), excess / max(height, 1e-12)


def _shadow_padding(shape):
    """Padded size of binned images, even."""
    return tuple(fft.next_fast_len(size // BIN_PX // 2 + 20, real=True) * 2 for size in shape)


def _shadow(frames, static, place, pixel_A, profile):
    """Mean low-resolution image about the centre (the thickness `profile` times a factor) and its matched filter.

    The factor is measured twice, each time weighted by the measured spectrum of the background: from what moves with
    the particle, Y_i = a (T_i - mean T) + background, and from the static field = a mean T + background, T_i being the
    profile at the place of frame i. (None, None) where the two together are not SHADOW_SIGMA from nothing: a slow
    background at the place of a particle that hardly moves is no shadow.
    """
    rows, columns = frames.shape[1] // BIN_PX, frames.shape[2] // BIN_PX
    ball = spot(profile, _shadow_padding(frames.shape[1:]))
    low = energy.frequencies(ball.shape, pixel_A * BIN_PX)
    low = (low < 0.25) & (low > 0)
    power = np.zeros(low.shape)
    chunks = [slice(i, i + CHUNK) for i in range(0, len(frames), CHUNK)]
    for part in chunks:
        power += np.square(np.abs(fft.rfft2(energy.binned(frames[part]), s=ball.shape))).sum(0) / len(frames)
    moving = low / _ringed(power / (rows * columns), pixel_A)
    spectrum = fft.rfft2(ball)
    kernel = (np.conj(spectrum) * moving).astype(np.complex64)
    overlap = fft.irfft2(spectrum * kernel, s=ball.shape)
    at = np.clip(np.rint((place - 0.5) / BIN_PX).astype(int), 0, [columns - 1, rows - 1])
    others = at[:: max(1, len(at) // 100)]
    fitted = []
    for part in chunks:
        maps = fft.irfft2(fft.rfft2(energy.binned(frames[part]), s=ball.shape) * kernel, s=ball.shape)
        for image, (x, y) in zip(maps, at[part]):
            fitted.append(image[y, x] - image[others[:, 1], others[:, 0]].mean())
    apart = others[:, None] - others[None]
    information = max(overlap[0, 0] - overlap[apart[..., 1], apart[..., 0]].mean(), 1e-9)
    groups = np.array([part.mean() for part in np.array_split(fitted, SHADOW_GROUPS)]) / information
    mean_ball = fft.rfft2(smear(profile, (place - 0.5) / BIN_PX, (rows, columns)), s=ball.shape)
    still = energy.binned(static[None])[0]
    field = fft.rfft2(still - still.mean(), s=ball.shape)
    weight = low / _ringed(np.square(np.abs(field)) / (rows * columns), pixel_A)
    both = fft.irfft2(np.stack([field, mean_ball]) * np.conj(mean_ball) * weight, s=ball.shape)[:, 0, 0]
    factors = np.array([groups.mean(), both[0] / both[1]])
    errors = np.array([groups.std(ddof=1) / np.sqrt(SHADOW_GROUPS), 1 / np.sqrt(both[1])])
    share = errors**-2 / (errors**-2).sum()
    factor, error = (share * factors).sum(), (errors**-2).sum() ** -0.5
    nats = factor**2 * overlap[0, 0] / 2
    log.info(
        "shadow %.2f +- %.2f moving, %.2f +- %.2f at rest, times the noise; %.1f nats a frame",
        *np.transpose([factors, errors]).ravel(),
        nats,
    )
    if abs(factor) < SHADOW_SIGMA * error or nats < LEAST_SHADOW_NATS:
        return None, None
    return factor * profile, factor * kernel


def _ringed(power, pixel_A):
    """A power spectrum on the binned, padded grid replaced by its means over rings of SPECTRUM_STEP."""
    shape = power.shape[0], 2 * (power.shape[1] - 1)
    ring = (energy.frequencies(shape, pixel_A * BIN_PX) / SPECTRUM_STEP).astype(int)
    means = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    return np.maximum(means, 1e-9)[ring]


def spot(profile, shape, centre=None):
    """Image (rows, columns) of a radial profile about a place (x, y); about pixel (0, 0), wrapped, for None."""
    if centre is None:
        y, x = fft.fftfreq(shape[0], 1 / shape[0])[:, None], fft.fftfreq(shape[1], 1 / shape[1])[None]
    else:
        y, x = np.arange(shape[0])[:, None] - centre[1], np.arange(shape[1])[None] - centre[0]
    radius = np.hypot(y, x)
    image = np.interp(radius, np.arange(len(profile)) + 0.5, profile)
    return np.where(radius < len(profile), image, 0).astype(np.float32)


def smear(profile, centre, shape):
    """Mean over frames of the profile's image at each frame's place: what a static field takes of a shadow."""
    total = np.zeros(shape, np.float32)
    some = centre[:: max(1, len(centre) // 200)]
    for at in some:
        total += spot(profile, shape, at)
    return total / len(some)
