"""Noise spectra: white and coloured noise of known power, with a particle in the way."""

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.imaging.noise import noise_level, radial_psd


@pytest.mark.parametrize("n", [32, 33])
@pytest.mark.parametrize("inner_A", [0.0, 3.0])
def test_white_noise_is_flat_at_its_variance(n, inner_A):
    """Catches a wrong normalisation of the window or of the half plane."""
    images = np.random.default_rng(0).normal(0, 2, (300, n, n))
    frequency, power = radial_psd(images, 0.358, inner_A)
    np.testing.assert_allclose(power[3:], 4, rtol=0.05)
    assert frequency[-1] == pytest.approx((n // 2) / (n * 0.358))
    assert noise_level(images, 0.358, inner_A=inner_A) == pytest.approx(2, rel=0.01)


def test_a_wave_shows_at_its_frequency():
    """Catches a frequency axis in the wrong unit."""
    n, pixel = 64, 0.5
    wave = np.cos(2 * np.pi * 10 / n * np.arange(n)) * np.ones((3, n, 1))
    frequency, power = radial_psd(wave, pixel)
    assert frequency[power.argmax()] == pytest.approx(10 / (n * pixel))


def test_particle_is_left_out():
    """Catches a window that lets the particle in: bright atoms within 5 angstrom must not raise the noise."""
    rng = np.random.default_rng(1)
    n, pixel = 64, 0.358
    images = rng.normal(size=(100, n, n))
    centre = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel < 5
    images += 30 * centre * rng.normal(size=(100, n, n))
    assert noise_level(images, pixel, inner_A=5.0) == pytest.approx(1, rel=0.02)
    assert noise_level(images, pixel) > 5


def test_no_room_is_said():
    """Catches a noise level made of nothing."""
    with pytest.raises(InputError, match="enlarge box_px"):
        noise_level(np.zeros((2, 32, 32)), 0.358, inner_A=12.0)
    with pytest.raises(InputError, match="Nyquist"):
        noise_level(np.zeros((2, 32, 32)), 0.5, band=(1.05, 1.35))
