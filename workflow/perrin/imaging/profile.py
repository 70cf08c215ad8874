"""The radial profile of one atom's image, as a sum of Gaussians, and the high-pass that goes with it.

    p(r) = sum_m w_m g(r; sigma_m),   g(r; sigma) = exp(-r^2 / 2 sigma^2) / (2 pi sigma^2)
    H(k) = 1 - exp(-k^2 / 2 s^2)

Images and profile see the same high-pass: a product of Gaussians is a Gaussian, so the filtered profile and
its autocorrelation (the overlap of two atoms) stay in closed form.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Profile:
    """sigma_A, weight : (m,), angstrom and dimensionless; highpass : s in 1/angstrom."""

    sigma_A: np.ndarray
    weight: np.ndarray
    highpass: float

    @classmethod
    def gaussian(cls, sigma_A, highpass):
        """One Gaussian, scaled to a high-passed height of 1 at the centre."""
        raw = cls(np.array([sigma_A]), np.array([1.0]), highpass)
        return cls(raw.sigma_A, raw.weight / raw.value(0.0), highpass)

    def transform(self, k, power=1):
        """Fourier transform p(k) H(k)^power; k in 1/angstrom, any shape."""
        k2 = np.square(k)
        total = sum(w * np.exp(-2 * np.pi**2 * s**2 * k2) for w, s in zip(self.weight, self.sigma_A))
        return total * high_pass(k, self.highpass) ** power

    def value(self, r):
        """The high-passed profile at distance r, angstrom, in 1/square angstrom."""
        total = np.zeros(np.shape(r))
        for weight, variance in self._gaussians():
            total += weight * np.exp(-np.square(r) / (2 * variance)) / (2 * np.pi * variance)
        return total

    def _gaussians(self):
        hole = 1 / (2 * np.pi * self.highpass) ** 2
        for weight, sigma in zip(self.weight, self.sigma_A):
            yield weight, sigma**2
            yield -weight, sigma**2 + hole


@dataclass(frozen=True)
class Overlap:
    """Overlap K(q) of two atoms' images at squared distance q, as a table with first and second derivative in q.

    table : (n, 3) float64: K, dK/dq, d2K/dq2 at q = 0, dq, 2 dq, ...; zero beyond
    dq : square angstrom
    series : 18 float32, K as a polynomial for kernels that sum as vectors (imaging.pairs), good to 1e-6 of K(0):
        c, slope, shift, reach and the coefficients of 1, t, ... t^13 with t = slope c / (c + q) + shift
    """

    table: np.ndarray
    dq: float
    series: tuple

    @property
    def reach2_A2(self):
        """Squared distance beyond which atoms do not overlap."""
        return (len(self.table) - 2) * self.dq


def high_pass(k, s):
    """H(k) = 1 - exp(-k^2 / 2 s^2)."""
    return 1 - np.exp(-np.square(k) / (2 * s**2))


def overlap(first, second, pixel_A, dq=0.02, cutoff=2e-4):
    """Sum over pixels of the product of two filtered profiles at a distance, as a table in its square.

    first, second : Profile with the same high-pass
    cutoff : of the largest value, where the table ends
    """
    q = np.arange(0, 64, dq)
    table = np.zeros((len(q), 3))
    for w, v in first._gaussians():
        for x, u in second._gaussians():
            variance = v + u
            k = w * x * np.exp(-q / (2 * variance)) / (2 * np.pi * variance) / pixel_A**2
            table[:, 0] += k
            table[:, 1] -= k / (2 * variance)
            table[:, 2] += k / (4 * variance**2)
    above = np.flatnonzero(np.abs(table[:, 0]) > cutoff * np.abs(table[0, 0]))
    table = table[: above[-1] + 2]
    table[-2:] = 0
    return Overlap(table, dq, _series(table, dq))


def _series(table, dq, c=10.0):
    """The polynomial of `Overlap.series`, least squares in Chebyshev polynomials of t from -1 (reach) to 1 (q = 0)."""
    q = dq * np.arange(len(table) - 2)
    v = c / (c + q)
    slope = 2 / (1 - v[-1])
    t = slope * (v - 1) + 1
    fit = np.polynomial.chebyshev.chebfit(t, table[:-2, 0], 13)
    return tuple(np.r_[c, slope, 1 - slope, q[-1], np.polynomial.chebyshev.cheb2poly(fit)].astype(np.float32))
