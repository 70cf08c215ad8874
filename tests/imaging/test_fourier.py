"""Fourier transforms about the box centre: against numpy's, against shifts by whole pixels, against integrals."""

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.imaging import fourier


@pytest.mark.parametrize("n", [16, 17])
def test_coefficients_are_sums_about_the_box_centre(n):
    """Would catch an origin at the corner, a wrapped frequency or exchanged axes, for even and odd boxes."""
    image = np.random.default_rng(0).normal(size=(1, n, n)).astype(np.float32)
    plane = fourier.half_plane(n, 0.5)
    found = fourier.image_coefficients(image, plane)[0]
    axis = np.arange(n) - n // 2
    for m in range(0, len(plane), 7):
        kx, ky = plane.k[m]
        wave = np.exp(-2j * np.pi * (kx * axis[None, :] + ky * axis[:, None]) / n)
        assert found[m] == pytest.approx((image[0] * wave).sum(), abs=1e-4)


def test_weights_stand_for_the_whole_plane():
    """Would catch coefficients counted twice on the axis: the energy of an image within the band is its own."""
    n = 24
    plane = fourier.half_plane(n, 0.5, (6.0, 1.5))
    image = fourier.coefficient_images(
        fourier.image_coefficients(np.random.default_rng(1).normal(size=(1, n, n)), plane), plane
    )
    c = fourier.image_coefficients(image, plane)
    energy = (plane.weight * np.abs(c) ** 2).sum() / n**2
    assert energy == pytest.approx(np.square(image, dtype=float).sum(), rel=1e-5)


def test_phases_move_images_as_rolling_does():
    """Would catch a shift of the wrong sign, or y for x."""
    n = 20
    plane = fourier.half_plane(n, 0.5)
    rng = np.random.default_rng(2)
    image = fourier.coefficient_images(fourier.image_coefficients(rng.normal(size=(1, n, n)), plane), plane)
    moved = fourier.image_coefficients(image, plane) * fourier.shift_phases(plane, [[3, -2]])
    expected = np.roll(image[0], (-2, 3), (0, 1))
    np.testing.assert_allclose(fourier.coefficient_images(moved, plane)[0], expected, atol=1e-5)


def test_padded_cubes_come_back():
    """Would catch a centre that padding moves, for even and odd cubes."""
    for n in (7, 8):
        cube = np.random.default_rng(n).normal(size=(n, n, n)).astype(np.float32)
        again = fourier.centred_irfftn(fourier.centred_rfftn(cube, 16), 16, n)
        np.testing.assert_allclose(again, cube, atol=1e-6)


def test_kernel_and_its_transform():
    """Would catch a wrong closed form, by numerical integration of the kernel."""
    d = np.linspace(-1.5, 1.5, 20001)
    kernel = fourier.kaiser_bessel(d, 1.5, 8.0)
    assert kernel.max() == pytest.approx(1) and fourier.kaiser_bessel(1.6, 1.5, 8.0) == 0
    x = np.array([0.0, 0.2, 0.7, 1.1, 2.0])
    expected = np.trapezoid(kernel * np.cos(2 * np.pi * x[:, None] * d), d, axis=1)
    np.testing.assert_allclose(fourier.kaiser_bessel_transform(x, 1.5, 8.0), expected, atol=1e-5)


def test_an_empty_band_is_one_sentence():
    """Would catch a band beyond Nyquist that silently holds nothing."""
    with pytest.raises(InputError, match="holds no Fourier coefficient"):
        fourier.band_limits(32, 1.0, (1.5, 1.0))
