"""Bands of the Fourier plane, for stacks of frames."""

import numpy as np
import scipy.fft


def frequencies(n, pixel_A):
    """|k| in 1/angstrom in the layout of rfft2 of an (n, n) image, (n, n // 2 + 1) float64."""
    return np.hypot(np.fft.fftfreq(n, pixel_A)[:, None], np.fft.rfftfreq(n, pixel_A)[None, :])


def soft_band(k, low, high, edge):
    """Weight 1 from low to high, raised cosines of full width `edge` centred on both; low <= 0: no lower end."""
    rise = np.clip((k - low) / edge + 0.5, 0, 1) if low > 0 else np.ones_like(k)
    fall = np.clip((high - k) / edge + 0.5, 0, 1)
    return 0.25 * (1 - np.cos(np.pi * rise)) * (1 - np.cos(np.pi * fall))


def band_pass(images, pixel_A, low_A1, high_A1, edge_A1=0.03):
    """(f, n, n) float32 images with only low..high 1/angstrom left."""
    n = images.shape[-1]
    weight = soft_band(frequencies(n, pixel_A), low_A1, high_A1, edge_A1).astype(np.float32)
    spectrum = scipy.fft.rfft2(np.asarray(images, np.float32))
    return scipy.fft.irfft2(spectrum * weight, s=(n, n))


def white_share(n, pixel_A, low_A1, high_A1, edge_A1=0.03):
    """Variance that unit white noise keeps in the band."""
    weight = soft_band(frequencies(n, pixel_A), low_A1, high_A1, edge_A1) ** 2
    twice = np.full(weight.shape[1], 2.0)
    twice[0] = 1
    if n % 2 == 0:
        twice[-1] = 1
    return float((weight * twice).sum() / n**2)
