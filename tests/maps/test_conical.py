"""Directional FSC: isotropic noise, and noise planted along one axis."""

import numpy as np
import pytest
from scipy import fft

from perrin.files.records import Map
from perrin.maps.conical import conical_fsc


def halves(axis=None, n=36):
    """Signal and noise of equal power, but along an axis (within 25 degrees) where there is noise alone."""
    rng = np.random.default_rng(0)
    k = fft.fftfreq(n)
    z, y, x = np.meshgrid(k, k, k, indexing="ij")
    signal = fft.fftn(rng.normal(size=(n,) * 3))
    if axis is not None:
        radius = np.maximum(np.sqrt(x * x + y * y + z * z), 1e-9)
        cosine = np.abs(axis[0] * x + axis[1] * y + axis[2] * z) / radius
        signal[cosine > np.cos(np.radians(25))] = 0
    signal = fft.ifftn(signal).real
    return [Map(signal + rng.normal(size=(n,) * 3), 0.5) for _ in range(2)]


def test_even_maps_are_even():
    """Catches a cone that counts its coefficients wrongly: signal and noise alike give 1/2 everywhere."""
    found = conical_fsc(*halves())
    np.testing.assert_allclose(found["area"], 0.5, atol=0.08)
    assert found["cfar"] > 0.8


def test_the_blind_axis_is_found():
    """Catches swapped axes: noise alone along an axis that is none of the box's."""
    axis = np.array([0.36, 0.48, 0.8])
    found = conical_fsc(*halves(axis))
    assert found["cfar"] < 0.25
    assert abs(found["worst_axis"] @ axis) > np.cos(np.radians(20))
    assert found["area"][np.abs(found["direction"] @ axis) < 0.5].min() == pytest.approx(0.5, abs=0.1)
