"""Projections of a map as central slices of its Fourier transform.

A projection along the beam of a body turned by R (r_lab = R r_body) has the coefficients
F(kx, ky) = V^(R^T (kx, ky, 0)). The transform of the map, zero-padded to twice its box, is interpolated
with a Kaiser-Bessel kernel of four samples a side, whose own transform is divided out of the map
beforehand: the error is below a thousandth of the image's rms. `TRILINEAR` needs an eighth of the
samples, for searches.
"""

from dataclasses import dataclass

import numba
import numpy as np
from scipy import fft

from perrin.imaging.fourier import (
    band_limits,
    centred_rfftn,
    coefficient_images,
    half_plane,
    kaiser_bessel,
    kaiser_bessel_transform,
    shift_phases,
)

KAISER_BESSEL, TRILINEAR = "kaiser-bessel", "trilinear"
STEPS = 1024  # table entries per sample: interpolated linearly, 1e-7 of the kernel's height
BETA = np.pi * np.sqrt(4.0 * 1.5**2 - 0.8)  # Beatty 2005 for four samples on a doubled grid


@dataclass(frozen=True)
class Transform:
    """The padded Fourier transform of a map, ready for slices.

    data : (z, y, x) complex64, the half x >= -margin, cropped to the band
    n, size : side of the map and of the padded map, voxels
    origin : (z, y, x) index of zero frequency
    table : (t,) float32, the kernel at distances of 1 / STEPS samples
    taps : samples a side of the kernel
    pixel_A : voxel side
    """

    data: np.ndarray
    n: int
    size: int
    origin: tuple
    table: np.ndarray
    taps: int
    pixel_A: float


def kernel_table(kind):
    """The interpolation kernel by name: (table of weights, samples a side)."""
    taps = {KAISER_BESSEL: 4, TRILINEAR: 2}[kind]
    distance = np.arange(taps * STEPS // 2 + 2) / STEPS
    if kind == TRILINEAR:
        return np.clip(1 - distance, 0, None).astype(np.float32), taps
    return kaiser_bessel(distance, taps / 2, BETA).astype(np.float32), taps


def kernel_falloff(kind, n, size):
    """(n,) what the kernel multiplies a map of n voxels by along one axis, on a grid padded to size."""
    x = (np.arange(n) - n // 2) / size
    if kind == TRILINEAR:
        return np.sinc(x) ** 2
    return kaiser_bessel_transform(x, kernel_table(kind)[1] / 2, BETA)


def padded_size(n, padding=2):
    """Side of the padded grid: even, at least padding times n, quick to transform."""
    size = fft.next_fast_len(int(np.ceil(padding * n)), real=True)
    while size % 2:
        size = fft.next_fast_len(size + 1, real=True)
    return size


def padded_transform(volume, pixel_A, band=None, kernel=KAISER_BESSEL, padding=2):
    """The `Transform` of a map (n, n, n) whose origin is voxel n // 2.

    band : (longest, shortest) period, angstrom; only what slices of this band need is kept
    """
    n = volume.shape[0]
    size = padded_size(n, padding)
    table, taps = kernel_table(kernel)
    falloff = kernel_falloff(kernel, n, size)
    flat = np.asarray(volume, np.float64) / (falloff[:, None, None] * falloff[:, None] * falloff)
    half = centred_rfftn(flat * pixel_A, size)
    reach = int(np.ceil(band_limits(n, pixel_A, band)[1] * size / n)) + taps
    around, right = np.arange(-reach, reach + 1), np.arange(-taps, reach + 1)
    data = np.empty((2 * reach + 1, 2 * reach + 1, len(right)), np.complex64)
    # frequencies of the half that was not computed are the conjugates of their opposites
    wrapped = (right + size // 2) % size - size // 2
    for chosen, sign in ((wrapped >= 0, 1), (wrapped < 0, -1)):
        rows = (sign * around) % size
        part = half[np.ix_(rows, rows, sign * wrapped[chosen])]
        data[:, :, chosen] = part if sign > 0 else part.conj()
    return Transform(data, n, size, (reach, reach, taps), table, taps, pixel_A)


@numba.njit(inline="always")
def weight_at(table, position):
    entry = int(position)
    return table[entry] + np.float32(position - entry) * (table[entry + 1] - table[entry])


def _gather_kernel(taps):
    """The gathering loop for a fixed number of taps: known when compiled, its inner loops unroll to SIMD."""

    @numba.njit(parallel=True, fastmath=True, cache=True)
    def gather(data, origin, table, steps, axes, k, out):
        oz, oy, ox = origin
        half = taps / 2
        for f in numba.prange(len(axes)):
            a = axes[f]
            wx = np.empty(taps, np.float32)
            wx2 = np.empty(2 * taps, np.float32)
            wy = np.empty(taps, np.float32)
            wz = np.empty(taps, np.float32)
            line = np.empty(2 * taps, np.float32)
            for i in range(len(k)):
                qx = a[0, 0] * k[i, 0] + a[1, 0] * k[i, 1]
                qy = a[0, 1] * k[i, 0] + a[1, 1] * k[i, 1]
                qz = a[0, 2] * k[i, 0] + a[1, 2] * k[i, 1]
                sign = np.float32(1.0)
                if qx < 0:
                    qx, qy, qz, sign = -qx, -qy, -qz, np.float32(-1.0)
                x0, y0, z0 = int(np.ceil(qx - half)), int(np.ceil(qy - half)), int(np.ceil(qz - half))
                for j in range(taps):
                    wx[j] = weight_at(table, abs(qx - (x0 + j)) * steps)
                    wy[j] = weight_at(table, abs(qy - (y0 + j)) * steps)
                    wz[j] = weight_at(table, abs(qz - (z0 + j)) * steps)
                for j in range(2 * taps):
                    wx2[j] = wx[j // 2]
                    line[j] = 0
                z, y, x = oz + z0, oy + y0, 2 * (ox + x0)
                for jz in range(taps):
                    for jy in range(taps):
                        weight = wz[jz] * wy[jy]
                        for j in range(2 * taps):
                            line[j] += weight * wx2[j] * data[z + jz, y + jy, x + j]
                real = np.float32(0.0)
                imag = np.float32(0.0)
                for j in range(taps):
                    real += line[2 * j]
                    imag += line[2 * j + 1]
                out[f, i] = complex(real, sign * imag)

    return gather


GATHER = {taps: _gather_kernel(taps) for taps in (2, 4)}


def fourier_slices(transform, rotations, plane):
    """Coefficients of the projections of a map, before any shift.

    transform : from `padded_transform`, of a band that holds the plane's
    rotations : (f, 3, 3), body to microscope
    plane : `HalfPlane` of the map's box
    returns (f, m) complex64, in the order of plane.k, with the scale of `image_coefficients`
    """
    axes = np.asarray(rotations, float)[:, :2] * (transform.size / transform.n)
    out = np.empty((len(axes), len(plane)), np.complex64)
    data = transform.data.view(np.float32)
    GATHER[transform.taps](data, transform.origin, transform.table, float(STEPS), axes, plane.k, out)
    return out


def project(volume, rotations, shifts_A, pixel_A, band=None, chunk=256):
    """Projections of a map along the beam.

    volume : (n, n, n) (z, y, x), origin at voxel n // 2
    rotations : (f, 3, 3), r_lab = R r_body
    shifts_A : (f, 2), where the body's origin appears, (x, y) angstrom from the image's centre n // 2
    band : (longest, shortest) period in angstrom that is kept, None for all
    returns (f, n, n) float32: the integral of the map along z, units of the map times angstrom
    """
    n = volume.shape[0]
    plane = half_plane(n, pixel_A, band)
    transform = padded_transform(volume, pixel_A, band)
    images = np.empty((len(rotations), n, n), np.float32)
    for first in range(0, len(rotations), chunk):
        part = slice(first, first + chunk)
        slices = fourier_slices(transform, rotations[part], plane)
        slices *= shift_phases(plane, np.asarray(shifts_A[part], float) / pixel_A)
        images[part] = coefficient_images(slices, plane)
    return images
