"""How well a lattice ball explains one frame, for every orientation and in-plane shift, in closed form.

Template of a lattice seen through a ball of radius Rb, origin of the lattice at the in-plane shift s:

    t(x) = sum_G f_|G| exp(2 pi i G_xy.(x - s)) w(x, G_z),   w(x, g) = 2 h sinc(2 h g),  h = sqrt(Rb^2 - |x|^2)

with (G_xy, G_z) = R G. The ball multiplies in real space, so the lattice may shift inside it for a phase only:

    c(R, s) = <frame, t> = 2 sum_{half of G} f_G Re[A_G exp(2 pi i G_xy.s)],  A_G = FT[frame w(., |G_z|)](G_xy)
    |t|^2 = 2 sum f_G^2 |w(., G_z)|^2
    log L(R) = log mean_s exp(alpha c - alpha^2 |t|^2 / 2)

at one amplitude alpha for all frames: with an amplitude of its own for each frame, orientations that show few
spots win by chance.
"""

from dataclasses import dataclass

import numba
import numpy as np
import scipy.fft

SHIFTS_1D = 8  # shifts per axis of the marginal: 8 floats fill one vector register
N_WINDOWS = 8


@dataclass(frozen=True)
class BallWindows:
    """Windowed Fourier transforms of frames.

    table : (f, g, ky, kx) complex64, kx >= 0, ky from -ky_max; origin of the phase at the box centre
    norm : (g,) float64, sum over pixels of w^2
    dg, dk : 1/angstrom, steps of the axes
    radius_A : of the ball
    """

    table: np.ndarray
    norm: np.ndarray
    dg: float
    dk: float
    radius_A: float


def windowed_transforms(frames, pixel_A, radius_A, k_max, chunk=64):
    """The table A(g, k) of every frame.

    frames : (f, n, n) float32, unit noise
    k_max : 1/angstrom, largest |G_xy| that will be asked for
    """
    n = frames.shape[-1]
    centre = n // 2
    axis = (np.arange(n) - centre) * pixel_A
    r2 = axis[:, None] ** 2 + axis[None, :] ** 2
    h = np.sqrt(np.clip(radius_A**2 - r2, 0, None))
    g = np.linspace(0, 0.65 / radius_A, N_WINDOWS)
    window = (2 * h * np.sinc(2 * h * g[:, None, None])).astype(np.float32)
    # only the ball's bounding square is transformed; padding to twice its size keeps linear look-up accurate
    half = min(int(np.ceil(radius_A / pixel_A)) + 1, centre - 1 + n % 2)
    cut = slice(centre - half, centre + half + 1)
    padded = scipy.fft.next_fast_len(max(4 * half, int(np.ceil(56.0 / pixel_A))), real=True)
    dk = 1 / (padded * pixel_A)
    reach = int(np.ceil(k_max / dk)) + 1
    if 2 * reach + 1 > padded:
        raise ValueError(
            f"reflections up to {k_max:.2f} 1/A lie beyond the Nyquist limit of {pixel_A} A pixels"
        )
    # the cut square starts at -half pixels from the origin: undo by a phase
    phase_y, phase_x = (np.exp(2j * np.pi * np.r_[low : reach + 1] * half / padded) for low in (-reach, 0))
    phase = (phase_y[:, None] * phase_x).astype(np.complex64)
    table = np.empty((len(frames), N_WINDOWS, 2 * reach + 1, reach + 1), np.complex64)
    small = window[:, cut, cut]
    for first in range(0, len(frames), chunk):
        block = np.asarray(frames[first : first + chunk, cut, cut], np.float32)[:, None] * small
        rowwise = scipy.fft.rfft(block, padded, axis=3)[..., : reach + 1]
        full = scipy.fft.fft(rowwise, padded, axis=2)
        part = table[first : first + chunk]
        np.multiply(full[:, :, padded - reach :], phase[:reach], out=part[:, :, :reach])
        np.multiply(full[:, :, : reach + 1], phase[reach:], out=part[:, :, reach:])
    return BallWindows(table, np.square(window, dtype=float).sum((1, 2)), g[1], dk, radius_A)


@dataclass(frozen=True)
class Spots:
    """The reflections near the slice of each orientation, as places in the table.

    first : (r + 1,) int64; the spots of orientation i are first[i] : first[i + 1]
    place : (m, 3) float32, (g, ky, kx) in steps of the table, kx >= 0
    shell : (m,) int32
    k : (m, 2) float32, (kx, ky), 1/angstrom
    weight : (m,) complex64, structure factor
    norm : (m,) float32, |w(., G_z)|^2
    """

    first: np.ndarray
    place: np.ndarray
    shell: np.ndarray
    k: np.ndarray
    weight: np.ndarray
    norm: np.ndarray


def spots(rotation, reflections, windows):
    """Where each orientation (r, 3, 3) looks in the table of windowed transforms."""
    turned = np.einsum("rij,mj->rmi", rotation, reflections.G)
    flip = turned[..., 0] < 0
    gz = np.abs(turned[..., 2])
    keep = gz < (N_WINDOWS - 1) * windows.dg
    sign = np.where(flip, -1.0, 1.0)
    k = (turned[..., :2] * sign[..., None])[keep]
    factor = np.broadcast_to(reflections.phase, keep.shape)
    factor = np.where(flip, factor.conj(), factor)[keep]
    height = gz[keep] / windows.dg
    reach = windows.table.shape[3] - 1
    place = np.c_[height, k[:, 1] / windows.dk + reach, k[:, 0] / windows.dk]
    norm = np.interp(height, np.arange(N_WINDOWS), windows.norm) * np.abs(factor) ** 2
    return Spots(
        np.r_[0, np.cumsum(keep.sum(1))].astype(np.int64),
        place.astype(np.float32),
        np.broadcast_to(reflections.shell, keep.shape)[keep].astype(np.int32),
        k.astype(np.float32),
        factor.astype(np.complex64),
        norm.astype(np.float32),
    )


@numba.njit(inline="always", fastmath=True)
def _look_up(table, place):
    """Tri-linear interpolation in one frame's table (g, ky, kx)."""
    i, j, l = int(place[0]), int(place[1]), int(place[2])
    a, b, c = place[0] - i, place[1] - j, place[2] - l
    low = (1 - b) * ((1 - c) * table[i, j, l] + c * table[i, j, l + 1]) + b * (
        (1 - c) * table[i, j + 1, l] + c * table[i, j + 1, l + 1]
    )
    high = (1 - b) * ((1 - c) * table[i + 1, j, l] + c * table[i + 1, j, l + 1]) + b * (
        (1 - c) * table[i + 1, j + 1, l] + c * table[i + 1, j + 1, l + 1]
    )
    return (1 - a) * low + a * high


@numba.njit(parallel=True, fastmath=True, cache=True)
def _scores(table, first, place, shell, weight, norm, wave_re, wave_im, f, alpha, out):
    n = wave_re.shape[2]
    for frame in numba.prange(table.shape[0]):
        c = np.empty((n, n), np.float32)
        own = table[frame]
        for r in range(len(first) - 1):
            c[:] = 0
            squared = np.float32(0)
            for m in range(first[r], first[r + 1]):
                amplitude = 2 * alpha * f[shell[m]]
                squared += np.float32(0.5) * amplitude * amplitude * norm[m]
                z = _look_up(own, place[m]) * weight[m].conjugate() * amplitude
                for iy in range(n):
                    re = z.real * wave_re[m, 1, iy] - z.imag * wave_im[m, 1, iy]
                    im = z.real * wave_im[m, 1, iy] + z.imag * wave_re[m, 1, iy]
                    for ix in range(n):
                        c[iy, ix] += re * wave_re[m, 0, ix] - im * wave_im[m, 0, ix]
            top = c.max()
            total = np.float32(0)
            for iy in range(n):
                for ix in range(n):
                    # exp(x) as (1 + x / 256)^256, which vectorises; x <= 0 and only the near ones matter
                    x = max(np.float32(0), np.float32(1) + (c[iy, ix] - top) * np.float32(1 / 256))
                    x *= x
                    x *= x
                    x *= x
                    x *= x
                    x *= x
                    x *= x
                    x *= x
                    x *= x
                    total += x
            out[frame, r] = top + np.log(total / (n * n)) - np.float32(0.5) * squared


def lattice_scores(windows, spot, amplitudes, alpha, shift_reach_A=1.4):
    """log L of every frame for every orientation, (f, r) float32; shifts are averaged over a square.

    amplitudes : (shells,) f of each shell of reflections
    alpha : the common amplitude
    shift_reach_A : half side of the square of shifts about the box centre
    """
    s = np.linspace(-shift_reach_A, shift_reach_A, SHIFTS_1D)
    angle = 2 * np.pi * spot.k[:, :, None] * s
    out = np.empty((len(windows.table), len(spot.first) - 1), np.float32)
    _scores(
        windows.table,
        spot.first,
        spot.place,
        spot.shell,
        spot.weight,
        spot.norm,
        np.cos(angle).astype(np.float32),
        np.sin(angle).astype(np.float32),
        np.asarray(amplitudes, np.float32),
        np.float32(alpha),
        out,
    )
    return out


@numba.njit(parallel=True, fastmath=True, cache=True)
def _coefficients(table, first, place, weight, out):
    for frame in numba.prange(table.shape[0]):
        for m in range(first[frame], first[frame + 1]):
            out[m] = _look_up(table[frame], place[m]) * weight[m].conjugate()


def path_coefficients(windows, rotation, reflections):
    """A_G of each frame at its own orientation: the spots (one set a frame) and (m,) complex64 values."""
    spot = spots(rotation, reflections, windows)
    values = np.empty(len(spot.place), np.complex64)
    _coefficients(windows.table, spot.first, spot.place, spot.weight, values)
    return spot, values


def shell_amplitudes(spot, values, shift_A, n_shells):
    """Least-squares amplitude of every shell along a path: f_h alpha, (shells,).

    shift_A : (f, 2) of each frame
    """
    frame = np.repeat(np.arange(len(spot.first) - 1), np.diff(spot.first))
    phase = np.exp(2j * np.pi * (spot.k * shift_A[frame]).sum(1))
    c = np.bincount(spot.shell, 2 * (values * phase).real, n_shells)
    n = np.bincount(spot.shell, 2 * spot.norm, n_shells)
    return c / np.maximum(n, 1e-9)


def path_evidence(spot, values, shift_A, amplitudes, alpha):
    """log L of every frame at its own orientation and shift, (f,): alpha c - alpha^2 |t|^2 / 2."""
    count = len(spot.first) - 1
    frame = np.repeat(np.arange(count), np.diff(spot.first))
    phase = np.exp(2j * np.pi * (spot.k * shift_A[frame]).sum(1))
    strength = alpha * np.asarray(amplitudes, float)[spot.shell]
    each = 2 * strength * (values * phase).real - strength**2 * spot.norm
    return np.bincount(frame, each, count)


def best_amplitude(windows, spot, amplitudes, candidates):
    """The alpha with the largest mean over frames of log mean_R L among candidates, and those means."""
    means = []
    for alpha in candidates:
        score = lattice_scores(windows, spot, amplitudes, alpha).astype(float)
        top = score.max(1)
        means.append((top + np.log(np.exp(score - top[:, None]).mean(1))).mean())
    return candidates[int(np.argmax(means))], np.array(means)
