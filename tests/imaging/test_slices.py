"""Projections of maps: known answers from Gaussian balls, direct sums and finufft."""

import finufft
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.errors import InputError
from perrin.imaging import slices
from perrin.imaging.fourier import coefficient_images, half_plane, image_coefficients

PIXEL = 0.358
SIGMA = 0.55


def balls(n, xyz, sigma=SIGMA):
    """(n, n, n) density of Gaussian balls of height 1 at (a, 3) angstrom."""
    axis = (np.arange(n) - n // 2) * PIXEL
    x, y, z = (np.exp(-np.square(axis - xyz[:, [i]]) / (2 * sigma**2)) for i in range(3))
    return np.einsum("iz,iy,ix->zyx", z, y, x)


def ball_images(n, xyz, rotations, shifts, sigma=SIGMA):
    """(f, n, n) their projections, in closed form."""
    axis = (np.arange(n) - n // 2) * PIXEL
    u = np.einsum("fij,aj->fai", rotations[:, :2], xyz) + shifts[:, None]
    x = np.exp(-np.square(axis - u[..., [0]]) / (2 * sigma**2))
    y = np.exp(-np.square(axis - u[..., [1]]) / (2 * sigma**2))
    return np.einsum("fay,fax->fyx", y, x) * np.sqrt(2 * np.pi) * sigma


def scene(n, seed=0, frames=6):
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-4, 4, (15, 3))
    return xyz, Rotation.random(frames, rng).as_matrix(), rng.normal(0, 0.8, (frames, 2))


@pytest.mark.parametrize("n", [48, 49])
def test_projections_equal_closed_form(n):
    """Catches a wrong centre of even or odd boxes, a transposed rotation, swapped axes, a wrong scale."""
    xyz, rotations, shifts = scene(n)
    images = slices.project(balls(n, xyz), rotations, shifts, PIXEL)
    expected = ball_images(n, xyz, rotations, shifts)
    assert images.dtype == np.float32
    assert np.sqrt(np.mean((images - expected) ** 2)) < 1e-3 * np.sqrt(np.mean(expected**2))


def test_off_centre_atom_lands_where_conventions_say():
    """Catches a mirrored or inverted convention: body x turned onto image y by +90 degrees about the beam."""
    n = 32
    turn = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()[None]
    image = slices.project(balls(n, np.array([[8 * PIXEL, 0, 3.0]])), turn, [[-2 * PIXEL, 0]], PIXEL)[0]
    assert np.unravel_index(image.argmax(), image.shape) == (n // 2 + 8, n // 2 - 2)


@pytest.mark.parametrize("n", [20, 21])
def test_slices_equal_finufft_on_white_noise(n):
    """Catches errors at high frequency that a smooth particle hides: every voxel counts alike here."""
    rng = np.random.default_rng(1)
    volume = rng.normal(size=(n, n, n)).astype(np.float32)
    rotations = Rotation.random(5, rng).as_matrix()
    plane = half_plane(n, PIXEL)
    found = slices.fourier_slices(slices.padded_transform(volume, PIXEL), rotations, plane)
    q = np.einsum("mi,fij->fmj", plane.k, rotations[:, :2]).reshape(-1, 3) * (2 * np.pi / n)
    points = [np.ascontiguousarray(q[:, axis]) for axis in (2, 1, 0)]
    exact = finufft.nufft3d2(*points, volume.astype(complex), eps=1e-9, isign=-1).reshape(found.shape) * PIXEL
    assert np.abs(found - exact).max() < 4e-3 * np.sqrt(np.mean(np.abs(exact) ** 2))


def test_slices_equal_a_direct_sum():
    """Catches an oracle that shares our mistake: the defining sum, written out."""
    n, rng = 9, np.random.default_rng(2)
    volume = rng.normal(size=(n, n, n)).astype(np.float32)
    rotation = Rotation.random(1, rng).as_matrix()
    plane = half_plane(n, PIXEL)
    found = slices.fourier_slices(slices.padded_transform(volume, PIXEL), rotation, plane)[0]
    z, y, x = np.indices((n, n, n)) - n // 2
    lab_x, lab_y = (rotation[0, i, 0] * x + rotation[0, i, 1] * y + rotation[0, i, 2] * z for i in (0, 1))
    direct = [
        PIXEL * np.sum(volume * np.exp(-2j * np.pi * (kx * lab_x + ky * lab_y) / n)) for kx, ky in plane.k
    ]
    assert np.abs(found - direct).max() < 4e-3 * np.std(direct)


def test_trilinear_slices_serve_for_searches():
    """Catches a wrong fall-off of the quick kernel: it must correlate 0.999 with the exact slices."""
    n = 48
    xyz, rotations, _ = scene(n, 3)
    plane = half_plane(n, PIXEL, (3.0, 1.0))
    quick = slices.padded_transform(balls(n, xyz), PIXEL, (3.0, 1.0), slices.TRILINEAR)
    exact = slices.padded_transform(balls(n, xyz), PIXEL)
    a, b = (slices.fourier_slices(t, rotations, plane) for t in (quick, exact))
    assert np.vdot(a, b).real / np.sqrt(np.vdot(a, a).real * np.vdot(b, b).real) > 0.999


def test_band_is_kept_and_nothing_else():
    """Catches coefficients outside the band, or a transform cropped too tightly for the slices it serves."""
    n = 40
    xyz, rotations, shifts = scene(n, 4)
    banded = slices.project(balls(n, xyz), rotations, shifts, PIXEL, band=(3.0, 1.0))
    inside = half_plane(n, PIXEL, (3.0, 1.0))
    full = slices.project(balls(n, xyz), rotations, shifts, PIXEL)
    expected = coefficient_images(image_coefficients(full, inside), inside)
    np.testing.assert_allclose(banded, expected, atol=1e-5 * np.abs(full).max())


def test_impossible_band_is_an_error_with_the_limit():
    """Catches an empty band passing as zero images."""
    with pytest.raises(InputError, match="no Fourier coefficient"):
        half_plane(32, PIXEL, (0.9, 1.0))


@pytest.mark.parametrize("n", [16, 17])
def test_coefficients_and_images_are_inverse(n):
    """Catches a lost or doubled coefficient: a band-limited image survives there and back."""
    rng = np.random.default_rng(5)
    plane = half_plane(n, PIXEL)
    images = coefficient_images(image_coefficients(rng.normal(size=(3, n, n)), plane), plane)
    again = coefficient_images(image_coefficients(images, plane), plane)
    np.testing.assert_allclose(again, images, atol=1e-5)
    coefficients = image_coefficients(images, plane)
    energy = np.sum(plane.weight * np.abs(coefficients) ** 2) / n**2
    np.testing.assert_allclose(energy, np.sum(images**2), rtol=1e-5)
