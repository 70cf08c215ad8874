"""Rings of Fourier coefficients: in-plane rotations of a reference become shifts along its rings, and one FFT
compares all of them at once.

An image whose origin is moved to its centre has the coefficients p(k, theta); a reference turned by psi in the
plane has r(k, theta - psi). Their correlation over all rings is, for all psi together,

    C(psi) = sum_k sum_theta p conj(r) = IFFT_m [ sum_k P(k, m) conj R(k, m) ]

with P, R the transforms along the rings: a matrix product over k for every m, then one inverse FFT. Rings count
alike whatever their length, as published (a weight of 1 / k), unless weighted by k.
"""

from dataclasses import dataclass

import finufft
import numpy as np
from scipy import fft

from perrin.files.errors import InputError
from perrin.imaging.fourier import HalfPlane, band_limits
from perrin.imaging.slices import fourier_slices

WEIGHTINGS = ("polar", "area")
ACCURACY = 1e-5


@dataclass(frozen=True)
class Rings:
    """Half of the samples of a polar grid (theta in [0, pi)); the other half are their conjugates.

    n : side of the images, px; radius (k,) cycles per box; turns : samples a full ring, even
    plane : HalfPlane of the k * turns / 2 samples, ring by ring (its frequencies are not integers)
    root : (k,) square root of each ring's weight
    """

    n: int
    radius: np.ndarray
    turns: int
    plane: HalfPlane
    root: np.ndarray


def rings(n, pixel_A, band_A, radius_px, weighting="polar"):
    """The polar grid of a band for a particle of radius_px: a step along a ring moves its rim by one pixel.

    band_A : (longest, shortest) period, angstrom
    weighting : "polar", all rings alike (published); "area", by their length, as equal noise in all pixels wants
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"matching has no weighting {weighting!r}: {' or '.join(WEIGHTINGS)}")
    low, high = band_limits(n, pixel_A, band_A)
    radius = np.arange(int(np.ceil(low)), int(np.floor(high)) + 1)
    radius = radius[(radius > 0) & (radius < n / 2)].astype(float)
    if len(radius) < 2:
        raise InputError(
            f"the band {band_A[0]}-{band_A[1]} A holds {len(radius)} ring(s) of a box of {n} px of {pixel_A:g} A; "
            "widen the band or the box"
        )
    turns = 2 * fft.next_fast_len(int(np.ceil(np.pi * radius_px)), real=True)
    angle = 2 * np.pi * np.arange(turns // 2) / turns
    k = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    plane = HalfPlane(n, np.ascontiguousarray(k.reshape(-1, 2)), np.full(k.size // 2, 2, np.float32))
    # "area" makes sums over the rings what sums over all coefficients of the image's plane are
    root = np.ones(len(radius)) if weighting == "polar" else np.sqrt(2 * np.pi * radius / turns)
    return Rings(n, radius, turns, plane, root.astype(np.float32))


def ring_samples(images, grid):
    """(f, n, n) images, origin at the centre n // 2, to (f, m) complex64 samples on the rings (half of them)."""
    x, y = np.ascontiguousarray(grid.plane.k.T * (2 * np.pi / grid.n), np.float32)
    values = np.ascontiguousarray(images, np.complex64)
    # one thread: callers share frames out, results do not depend on how
    return finufft.nufft2d2(y, x, values, eps=ACCURACY, isign=-1, nthreads=1)


def moved(samples, grid, shift_px):
    """Samples of images whose origin, at shift_px (x, y) from the centre, is moved to the centre."""
    return samples * np.exp(2j * np.pi / grid.n * (grid.plane.k @ np.asarray(shift_px, float))).astype(
        np.complex64
    )


def ring_spectra(samples, grid):
    """(f, m) samples to (f, turns / 2 + 1, k) complex64: transforms along the rings, weighted by ring."""
    half = samples.reshape(len(samples), len(grid.radius), grid.turns // 2)
    spectra = fft.fft(np.concatenate([half, half.conj()], -1), axis=-1)[..., : grid.turns // 2 + 1]
    return np.ascontiguousarray(np.swapaxes(spectra * grid.root[:, None], 1, 2))


def norms(samples, grid):
    """(f,) root of the weighted sum of squares over whole rings."""
    half = samples.reshape(len(samples), len(grid.radius), grid.turns // 2)
    return np.sqrt(2 * np.sum(np.square(np.abs(half)) * np.square(grid.root)[:, None], (1, 2)))


def reference_spectra(transform, rotations, grid, amplitude=None):
    """(d, turns / 2 + 1, k) spectra of a map's projections along directions, and (d,) what to take off the scores.

    amplitude : None, references are scaled to norm 1 and nothing is taken off: normalised correlation, once divided
        by the frame's norm; a number, a <p, r> - a^2 |r|^2 / 2 over n^2: the log-likelihood ratio to an empty
        frame with white noise of unit variance, for weighting "area"
    """
    samples = fourier_slices(transform, rotations, grid.plane)
    length = norms(samples, grid)
    if amplitude is None:
        samples /= np.maximum(length, 1e-30).astype(np.float32)[:, None]
        return ring_spectra(samples, grid), np.zeros(len(rotations), np.float32)
    samples *= np.float32(amplitude / grid.n**2)
    return ring_spectra(samples, grid), (np.square(amplitude * length / grid.n) / 2).astype(np.float32)


def angle_scores(frames, references, turns):
    """(f, d, turns) correlations of frames and references at in-plane angles 2 pi j / turns.

    frames : (f, m, k), references : (d, m, k) spectra; at angle psi the pose is R = Rz(psi) R_reference
    """
    return np.moveaxis(turned_scores(frames.transpose(1, 0, 2), by_order(references), turns), 0, -1)


def by_order(references):
    """(d, m, k) spectra as `turned_scores` takes them: conjugate, (m, k, d)."""
    return np.ascontiguousarray(references.conj().transpose(1, 2, 0))


def turned_scores(frames, references, turns):
    """The same correlations as (turns, f, d), of frames (m, f, k) and `by_order` references (m, k, d)."""
    return fft.irfft(np.matmul(frames, references), turns, axis=0, overwrite_x=True)
