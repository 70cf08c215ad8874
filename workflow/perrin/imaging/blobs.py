"""A set of atoms as a model of frames, without ever drawing it.

With equal radial profiles p, everything least squares asks of a frame y and a model sum_j o_j p(. - u_j) is

    b(u)  = <y, p(. - u)>          the frame filtered by the profile, read off at the atoms' places
    K(d)  = <p, p(. - d)>          the overlap of two atoms at distance d

and their derivatives. Frames are filtered once, at twice the sampling, and stored as cubic B-spline coefficients
(relative error below 1e-4 within the band); a pose is then scored by reading 16 numbers an atom.
"""

from dataclasses import dataclass

import numba
import numpy as np
import scipy.fft

from perrin.imaging.profile import high_pass

OVERSAMPLING = 2


@dataclass(frozen=True)
class Filtered:
    """Frames filtered by an atom's profile.

    coefficient : (f, m, m) float32, cubic B-spline coefficients on pixels of step_A
    step_A : angstrom
    centre : index of the box centre on either axis
    """

    coefficient: np.ndarray
    step_A: float
    centre: int

    def __len__(self):
        return len(self.coefficient)


def filter_frames(frames, pixel_A, profile, chunk=128):
    """Correlate raw frames with the high-passed profile (and high-pass them): b(u) for every place u.

    frames : (f, n, n) float32, unit noise; n even
    """
    n = frames.shape[-1]
    m = OVERSAMPLING * n
    ky = np.fft.fftfreq(n, pixel_A)
    kx = np.fft.rfftfreq(n, pixel_A)
    k = np.hypot(ky[:, None], kx[None, :])
    step = pixel_A / OVERSAMPLING
    spline = (2 + np.cos(2 * np.pi * ky * step))[:, None] * (2 + np.cos(2 * np.pi * kx * step)) / 9
    gain = profile.transform(k, power=2) / spline / pixel_A**2 * OVERSAMPLING**2
    gain[n // 2] = 0  # the Nyquist row has no partner on the finer grid
    gain[:, -1] = 0
    gain = gain.astype(np.float32)
    out = np.empty((len(frames), m, m), np.float32)
    rows = np.r_[0 : n // 2, m - n // 2 : m]
    for first in range(0, len(frames), chunk):
        spectrum = scipy.fft.rfft2(np.asarray(frames[first : first + chunk], np.float32)) * gain
        padded = np.zeros((len(spectrum), m, m // 2 + 1), np.complex64)
        padded[:, rows, : n // 2 + 1] = spectrum
        out[first : first + chunk] = scipy.fft.irfft2(padded, s=(m, m))
    return Filtered(out, step, OVERSAMPLING * (n // 2))


def high_passed(frames, pixel_A, s, chunk=256):
    """Frames times H(k) = 1 - exp(-k^2 / 2 s^2) in Fourier space, float32."""
    n = frames.shape[-1]
    k = np.hypot(np.fft.fftfreq(n, pixel_A)[:, None], np.fft.rfftfreq(n, pixel_A)[None, :])
    gain = high_pass(k, s).astype(np.float32)
    out = np.empty(frames.shape, np.float32)
    for first in range(0, len(frames), chunk):
        block = np.asarray(frames[first : first + chunk], np.float32)
        out[first : first + chunk] = scipy.fft.irfft2(scipy.fft.rfft2(block) * gain, s=(n, n))
    return out


@numba.njit(inline="always", fastmath=True)
def _weights(t):
    """Cubic B-spline weights of the four neighbours at fraction t, and their derivatives."""
    t2 = t * t
    t3 = t2 * t
    u = 1 - t
    return (
        u * u * u / 6,
        (3 * t3 - 6 * t2 + 4) / 6,
        (-3 * t3 + 3 * t2 + 3 * t + 1) / 6,
        t3 / 6,
        -u * u / 2,
        (3 * t2 - 4 * t) / 2,
        (-3 * t2 + 2 * t + 1) / 2,
        t2 / 2,
    )


@numba.njit(inline="always", fastmath=True)
def read_value(image, centre, step, x, y):
    """Filtered image at (x, y) angstrom from the box centre; 0 outside the box."""
    m = image.shape[0]
    fx = x / step + centre
    fy = y / step + centre
    ix = int(np.floor(fx))
    iy = int(np.floor(fy))
    if ix < 1 or iy < 1 or ix > m - 3 or iy > m - 3:
        return 0.0
    x0, x1, x2, x3, _, _, _, _ = _weights(fx - ix)
    y0, y1, y2, y3, _, _, _, _ = _weights(fy - iy)
    a, b, c, d = image[iy - 1], image[iy], image[iy + 1], image[iy + 2]
    return (
        y0 * (x0 * a[ix - 1] + x1 * a[ix] + x2 * a[ix + 1] + x3 * a[ix + 2])
        + y1 * (x0 * b[ix - 1] + x1 * b[ix] + x2 * b[ix + 1] + x3 * b[ix + 2])
        + y2 * (x0 * c[ix - 1] + x1 * c[ix] + x2 * c[ix + 1] + x3 * c[ix + 2])
        + y3 * (x0 * d[ix - 1] + x1 * d[ix] + x2 * d[ix + 1] + x3 * d[ix + 2])
    )


@numba.njit(inline="always", fastmath=True)
def read_gradient(image, centre, step, x, y):
    """Value and gradient (per angstrom) of the filtered image at (x, y) angstrom; zeros outside the box."""
    m = image.shape[0]
    fx = x / step + centre
    fy = y / step + centre
    ix = int(np.floor(fx))
    iy = int(np.floor(fy))
    if ix < 1 or iy < 1 or ix > m - 3 or iy > m - 3:
        return 0.0, 0.0, 0.0
    x0, x1, x2, x3, p0, p1, p2, p3 = _weights(fx - ix)
    y0, y1, y2, y3, q0, q1, q2, q3 = _weights(fy - iy)
    a, b, c, d = image[iy - 1], image[iy], image[iy + 1], image[iy + 2]
    ra = x0 * a[ix - 1] + x1 * a[ix] + x2 * a[ix + 1] + x3 * a[ix + 2]
    rb = x0 * b[ix - 1] + x1 * b[ix] + x2 * b[ix + 1] + x3 * b[ix + 2]
    rc = x0 * c[ix - 1] + x1 * c[ix] + x2 * c[ix + 1] + x3 * c[ix + 2]
    rd = x0 * d[ix - 1] + x1 * d[ix] + x2 * d[ix + 1] + x3 * d[ix + 2]
    ga = p0 * a[ix - 1] + p1 * a[ix] + p2 * a[ix + 1] + p3 * a[ix + 2]
    gb = p0 * b[ix - 1] + p1 * b[ix] + p2 * b[ix + 1] + p3 * b[ix + 2]
    gc = p0 * c[ix - 1] + p1 * c[ix] + p2 * c[ix + 1] + p3 * c[ix + 2]
    gd = p0 * d[ix - 1] + p1 * d[ix] + p2 * d[ix + 1] + p3 * d[ix + 2]
    value = y0 * ra + y1 * rb + y2 * rc + y3 * rd
    along_x = (y0 * ga + y1 * gb + y2 * gc + y3 * gd) / step
    along_y = (q0 * ra + q1 * rb + q2 * rc + q3 * rd) / step
    return value, along_x, along_y


@numba.njit(inline="always", fastmath=True)
def overlap_value(table, dq, q):
    """K at squared distance q by linear interpolation; 0 beyond the table."""
    f = q / dq
    i = int(f)
    if i >= table.shape[0] - 1:
        return 0.0
    t = f - i
    return (1 - t) * table[i, 0] + t * table[i + 1, 0]


@numba.njit(parallel=True, fastmath=True, cache=True)
def _read(coefficient, centre, step, xyz, rotation, shift, out):
    for f in numba.prange(len(rotation)):
        for j in range(len(xyz)):
            x = shift[f, 0]
            y = shift[f, 1]
            for c in range(3):
                x += rotation[f, 0, c] * xyz[j, c]
                y += rotation[f, 1, c] * xyz[j, c]
            out[f, j] = read_value(coefficient[f], centre, step, x, y)


def read(filtered, xyz_A, rotation, shift_A):
    """b_fj, the filtered frames at the projected places of all points: (f, n) float32."""
    out = np.empty((len(rotation), len(xyz_A)), np.float32)
    _read(
        filtered.coefficient,
        filtered.centre,
        filtered.step_A,
        np.ascontiguousarray(xyz_A, float),
        np.ascontiguousarray(rotation, float),
        np.ascontiguousarray(shift_A, float),
        out,
    )
    return out
