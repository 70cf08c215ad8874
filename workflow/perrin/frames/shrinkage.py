"""Denoising by singular-value shrinkage, with rank and weights chosen from the data.

Frames are restricted to the band and the disc that can hold the particle; there, their noise is white with a known
variance. The singular values of noise alone end at sqrt(f) + sqrt(d); those beyond are shrunk by the factor that
minimises the squared error as f and d grow (Gavish & Donoho, IEEE Trans. Inf. Theory 63, 2137 (2017)). A tumbling
particle spreads much of its signal over components below that edge; what is left of a frame is therefore filtered
by frequency (Wiener) and added.
"""

import numpy as np
import scipy.fft

from perrin.frames.bands import frequencies
from perrin.frames.kpca import principal_components


def optimal_shrinkage(singular, rows, columns, sd):
    """Shrunken singular values for the Frobenius norm, noise of standard deviation sd; 0 below the edge."""
    beta = min(rows, columns) / max(rows, columns)
    y = np.asarray(singular, float) / (sd * np.sqrt(max(rows, columns)))
    inside = np.maximum((y**2 - beta - 1) ** 2 - 4 * beta, 0)
    return np.where(y > 1 + np.sqrt(beta), np.sqrt(inside) / np.maximum(y, 1e-12), 0) * (
        sd * np.sqrt(max(rows, columns))
    )


def coarse_size(n, pixel_A, high_A1):
    """Smallest even number of pixels across the same box that carries frequencies up to high_A1 with room."""
    size = int(2 * np.ceil(high_A1 * n * pixel_A)) + 2
    return min(n - n % 2, size)


def to_coarse(images, size):
    """Images on a coarser grid of the same box by cutting the Fourier plane; white noise keeps its variance.

    (f, n, n) -> (f, size, size) float32; both grids have their centres at index // 2
    """
    n = images.shape[-1]
    if size == n:
        return np.asarray(images, np.float32)
    spectrum = scipy.fft.rfft2(scipy.fft.ifftshift(images, axes=(1, 2)))
    half = size // 2
    rows = np.r_[0:half, n - half : n]
    cut = spectrum[:, rows, : half + 1].copy()
    # the new Nyquist line has no partner: leave it out
    cut[:, half] = 0
    cut[:, :, half] = 0
    return scipy.fft.fftshift(scipy.fft.irfft2(cut, s=(size, size)), axes=(1, 2)) * np.float32(size / n)


def to_fine(images, n):
    """The inverse of `to_coarse` for images whose band it holds."""
    size = images.shape[-1]
    if size == n:
        return np.asarray(images, np.float32)
    spectrum = scipy.fft.rfft2(scipy.fft.ifftshift(images, axes=(1, 2)))
    half = size // 2
    full = np.zeros((len(images), n, n // 2 + 1), spectrum.dtype)
    full[:, :half, :half] = spectrum[:, :half, :half]
    full[:, n - half + 1 :, :half] = spectrum[:, half + 1 :, :half]
    return scipy.fft.fftshift(scipy.fft.irfft2(full, s=(n, n)), axes=(1, 2)) * np.float32(n / size)


def smooth_in_time(scores, weights, reach):
    """Signal of each component's scores by linear prediction from `reach` frames on either side.

    The least-squares filter for a stationary series: its autocovariance at lags from 1 on is the signal's own, as
    noise has none; at lag 0 the signal has the share `weights` of the variance. A fast rotation gives a short
    memory, and with none the filter is the factor `weights`.
    scores : (f, q); weights : (q,) -> (f, q)
    """
    f, q = scores.shape
    reach = min(reach, (f - 1) // 2)
    if reach < 1 or q == 0:
        return scores * weights
    lags = np.array(
        [np.einsum("fq,fq->q", scores[t:], scores[: f - t], dtype=float) / f for t in range(2 * reach + 1)]
    )
    signal = lags.copy()
    signal[0] *= weights
    # a lag that is within the noise of its estimate counts as none, and none exceeds the signal's variance
    error = lags[0] / np.sqrt(f)
    signal[1:] = np.where(np.abs(signal[1:]) > 2 * error, np.clip(signal[1:], -signal[0], signal[0]), 0)
    step = np.abs(np.subtract.outer(np.arange(2 * reach + 1), np.arange(2 * reach + 1)))
    padded = np.pad(scores, ((reach, reach), (0, 0)))
    out = np.zeros_like(scores)
    for k in range(q):
        covariance = signal[step, k] + np.eye(2 * reach + 1) * (lags[0, k] - signal[0, k])
        # lags estimated one by one need not make a covariance: keep what is positive
        values, vectors = np.linalg.eigh(covariance)
        values = np.maximum(values, lags[0, k] - signal[0, k])
        taps = vectors @ ((vectors.T @ signal[np.abs(np.arange(-reach, reach + 1)), k]) / values)
        out[:, k] = np.convolve(padded[:, k], taps[::-1], mode="valid")
    return out


def _on_grid(values, disc, size):
    """(f, m) values of the disc's pixels as images (f, size, size), 0 elsewhere."""
    grid = np.zeros((len(values), size * size), np.float32)
    grid[:, disc] = values
    return grid.reshape(-1, size, size)


def _rest_filter(small, lead, strength, disc, size, pixel_A, high_A1, sd):
    """Wiener's factor signal / (signal + noise) for the frames less the kept components, by |k|, in rfft2 layout.

    Signal is what the mean power of at most 1000 frames has above the noise by two standard errors.
    """
    some = small[:: max(1, len(small) // 1000)]
    left = _on_grid(some - ((some @ lead.T) * strength) @ lead, disc, size)
    k = frequencies(size, pixel_A)
    ring = np.rint(k * size * pixel_A).astype(int)
    power = (np.abs(scipy.fft.rfft2(left)) ** 2).mean(0) / (sd**2 * len(disc))
    count = np.bincount(ring.ravel())
    by_ring = np.bincount(ring.ravel(), power.ravel()) / count
    by_ring -= 2 * by_ring / np.sqrt(count * len(some) * len(disc) / size**2)
    # the components took some of the noise with them
    noise = 1 - float((1 - (1 - strength) ** 2).sum()) / len(disc)
    factor = np.clip(1 - noise / np.maximum(by_ring, 1e-9), 0, 1)
    return (factor[ring] * (k <= high_A1)).astype(np.float32)


def shrink(frames, pixel_A, radius_A, high_A1=1.0, noise_sd=None, seed=0, time_reach=2):
    """Denoise (f, n, n) frames by optimal shrinkage inside a disc.

    radius_A : of the disc about the box centre, beyond which the output is 0
    high_A1 : 1/angstrom, highest frequency kept
    noise_sd : of the coarse frames; measured outside the disc where not given
    time_reach : frames on either side that help to tell a component's signal; 0: none
    -> denoised (f, n, n) float32, eigenvalues of the frames' covariance (all above the noise, and the next few),
    weights (shrunken over found singular value), noise edge of the eigenvalues
    """
    f, n, _ = frames.shape
    size = coarse_size(n, pixel_A, high_A1)
    coarse_A = n * pixel_A / size
    r = np.hypot(*(np.indices((size, size)) - size // 2)) * coarse_A
    disc = np.flatnonzero(r.ravel() <= radius_A)
    outside = np.flatnonzero((r.ravel() > radius_A) & (r.ravel() > 0.45 * n * pixel_A))
    small = np.empty((f, len(disc)), np.float32)
    power = 0.0
    band = frequencies(size, coarse_A) <= high_A1
    for a in range(0, f, 256):
        coarse = to_coarse(frames[a : a + 256], size).reshape(-1, size * size)
        small[a : a + 256] = coarse[:, disc]
        power += float(np.square(coarse[:, outside], dtype=np.float64).sum())
    sd = np.sqrt(power / max(f * len(outside), 1)) if noise_sd is None else noise_sd
    mean = small.mean(0, dtype=np.float64).astype(np.float32)
    small -= mean
    values, vectors = principal_components(small, min(f, len(disc)), seed)
    singular = np.sqrt(values)
    shrunk = optimal_shrinkage(singular, f, len(disc), sd)
    kept = int((shrunk > 0).sum())
    weights = shrunk / np.maximum(singular, 1e-12)
    lead, strength = vectors[:kept], weights[:kept].astype(np.float32)
    # what is spread over components below the edge comes back frequency by frequency
    rest = _rest_filter(small, lead, strength, disc, size, coarse_A, high_A1, sd)
    scores = smooth_in_time(small @ lead.T, strength, time_reach)
    out = np.empty((f, n, n), np.float32)
    for a in range(0, f, 256):
        found = scores[a : a + 256] @ lead
        left = _on_grid(small[a : a + 256] - found, disc, size)
        left = scipy.fft.irfft2(scipy.fft.rfft2(left) * rest, s=(size, size))
        inside = _on_grid(found + mean + left.reshape(len(left), -1)[:, disc], disc, size)
        out[a : a + 256] = to_fine(scipy.fft.irfft2(scipy.fft.rfft2(inside) * band, s=(size, size)), n)
    show = min(len(values), kept + 20)
    edge = sd**2 * (np.sqrt(f) + np.sqrt(len(disc))) ** 2
    return out, values[:show], weights[:show], edge
