"""Fourier transforms of images and maps whose origin is the box centre, and the kernel between grids.

A real image is known by half of its plane of coefficients: `half_plane` lists the ones of a band, and
every sum over a whole plane is a sum over this list with weights 2 (1 where the other half is in the
list too).
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from perrin.files.errors import InputError


@dataclass(frozen=True)
class HalfPlane:
    """The Fourier coefficients (x >= 0) of an n x n image that lie in a band.

    n : side of the image, px
    k : (m, 2) int32, (x, y) frequency in cycles per box
    weight : (m,) float32, how many coefficients of the whole plane each one stands for (2 or 1)
    """

    n: int
    k: np.ndarray
    weight: np.ndarray

    def __len__(self):
        return len(self.k)


def band_limits(n, pixel_A, band=None):
    """Lowest and highest frequency of a band, cycles per box of n px.

    band : (longest, shortest) period in angstrom, None for everything up to Nyquist; either may be None
    """
    longest, shortest = (None, None) if band is None else band
    low = 0.0 if longest is None else n * pixel_A / longest
    high = 0.5 * n if shortest is None else min(n * pixel_A / shortest, 0.5 * n)
    if low >= high:
        raise InputError(
            f"the band {longest}-{shortest} A holds no Fourier coefficient of a box of {n} px of {pixel_A:g} A: "
            f"give (long, short) periods above {2 * pixel_A:g} A"
        )
    return low, high


def half_plane(n, pixel_A, band=None):
    """The coefficients of an n x n image between two periods (angstrom): a `HalfPlane`.

    Nyquist itself is left out (the sign of its frequency is not defined), so |k| < n / 2.
    """
    low, high = band_limits(n, pixel_A, band)
    x, y = np.meshgrid(np.arange(n // 2 + 1), np.arange(-((n - 1) // 2), (n - 1) // 2 + 1))
    radius = np.hypot(x, y)
    keep = (radius >= low) & (radius <= high) & (radius < n / 2)
    k = np.stack([x[keep], y[keep]], 1).astype(np.int32)
    return HalfPlane(n, k, np.where(k[:, 0] == 0, 1, 2).astype(np.float32))


def image_coefficients(images, plane):
    """(f, n, n) images to (f, m) complex64 coefficients, origin at the box centre n // 2."""
    spectra = fft.rfft2(fft.ifftshift(np.asarray(images, np.float32), axes=(-2, -1)))
    return spectra[..., plane.k[:, 1] % plane.n, plane.k[:, 0]]


def coefficient_images(coefficients, plane):
    """(f, m) coefficients of a half plane to (f, n, n) float32 images; the other coefficients are zero."""
    n = plane.n
    spectra = np.zeros((*coefficients.shape[:-1], n, n // 2 + 1), np.complex64)
    spectra[..., plane.k[:, 1] % n, plane.k[:, 0]] = coefficients
    return fft.fftshift(fft.irfft2(spectra, (n, n)), axes=(-2, -1)).astype(np.float32, copy=False)


def shift_phases(plane, shifts_px):
    """(f, m) complex64 factors that move images by (f, 2) pixels in (x, y)."""
    turns = np.asarray(shifts_px, float) @ (plane.k.T / plane.n)
    return np.exp(-2j * np.pi * turns).astype(np.complex64)


def centred_rfftn(volume, size):
    """rfftn of a cube (n, n, n) zero-padded to size, origin at the centre n // 2."""
    n = volume.shape[0]
    padded = np.zeros((size,) * 3, np.float32)
    where = (np.arange(n) - n // 2) % size
    padded[np.ix_(where, where, where)] = volume
    return fft.rfftn(padded, overwrite_x=True)


def centred_irfftn(spectrum, size, n):
    """The inverse of `centred_rfftn`: the central cube of n voxels, float32."""
    padded = fft.irfftn(spectrum, (size,) * 3, overwrite_x=True)
    where = (np.arange(n) - n // 2) % size
    return np.ascontiguousarray(padded[np.ix_(where, where, where)], np.float32)


def kaiser_bessel(distance, half_width, beta):
    """Kaiser-Bessel kernel I0(beta sqrt(1 - (d / half_width)^2)) / I0(beta), zero outside half_width."""
    inside = np.clip(1 - np.square(np.asarray(distance, float) / half_width), 0, None)
    return np.where(np.abs(distance) <= half_width, np.i0(beta * np.sqrt(inside)) / np.i0(beta), 0.0)


def kaiser_bessel_transform(x, half_width, beta):
    """Fourier transform of `kaiser_bessel` at x cycles per unit of distance (closed form, real)."""
    root = np.emath.sqrt(beta**2 - np.square(2 * np.pi * half_width * np.asarray(x, float)))
    ratio = np.where(np.abs(root) < 1e-9, 1.0, np.sinh(root) / np.where(root == 0, 1, root))
    return 2 * half_width * ratio.real / np.i0(beta)
