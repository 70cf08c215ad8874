import numpy as np
import pytest

from perrin.frames import background
from perrin.frames.bands import band_pass, white_share

PIXEL_A = 0.358


def test_a_constant_and_nothing_outside_the_field():
    """Catches borders that leak: a constant vanishes everywhere, pixels beyond the field are 0."""
    images = np.full((2, 48, 48), 17.0, np.float32)
    valid = np.ones(images.shape, bool)
    valid[1, :, :10] = False
    out = background.subtract_slow(images, valid, 9.0)
    assert np.abs(out).max() < 1e-4
    assert not out[1, :, :10].any()


@pytest.mark.parametrize("period_A", [10.0, 20.0, 40.0])
def test_the_transfer_of_the_slow_background(period_A):
    """Catches a width in the wrong unit: a plane wave keeps 1 - exp(-2 pi^2 k^2 sigma^2) of its amplitude."""
    n, sigma = 256, 20 / (2 * np.pi * PIXEL_A)
    x = np.arange(n) * PIXEL_A
    image = np.broadcast_to(np.cos(2 * np.pi * x / period_A), (n, n)).astype(np.float32)
    out = background.subtract_slow(image[None], np.ones((1, n, n), bool), sigma)[0]
    middle = np.s_[n // 2, n // 4 : -n // 4]
    kept = (out[middle] @ image[middle]) / (image[middle] @ image[middle])
    assert kept == pytest.approx(1 - np.exp(-2 * (np.pi * sigma * PIXEL_A / period_A) ** 2), abs=5e-3)


def test_noise_is_measured_frame_by_frame():
    """Catches a wrong normalisation of the power spectrum, and lattice signal taken for noise."""
    rng = np.random.default_rng(0)
    sd = np.array([0.5, 1.0, 3.0])
    images = rng.standard_normal((3, 96, 96)) * sd[:, None, None]
    images += 2 * np.cos(2 * np.pi * np.arange(96) * PIXEL_A / 2.26)
    assert np.allclose(background.noise_sd(images, PIXEL_A) / sd, 1, atol=0.04)


def test_the_field_is_cut_where_the_box_lies_and_blended_in_time():
    """Catches x and y exchanged, boxes over the border, blocks used outside of their time."""
    field = np.zeros((2, 20, 30), np.float32)
    field[0] = np.arange(20)[:, None] * 100 + np.arange(30)
    field[1] = field[0] + 8
    centre = np.array([10.0, 50.0])
    assert background.field_at(field, centre, 0, (3, 5), 8)[0, 0] == 503
    assert background.field_at(field, centre, 20, (3, 5), 8)[2, 1] == 704 + 2
    assert background.field_at(field, centre, 90, (3, 5), 8)[0, 0] == 511
    over = background.field_at(field, centre, 0, (26, -2), 8)
    assert np.isnan(over[:2]).all()
    assert np.isnan(over[:, 4:]).all()
    assert over[2, 0] == 26
    assert np.isnan(background.field_at(field, centre, 0, (100, 100), 8)).all()


def test_the_static_share_is_unbiased_and_its_error_right():
    """Catches a biased regression or a wrong standard error: 300 frames, chi square of the share about the truth."""
    rng = np.random.default_rng(3)
    n = 64
    field = np.broadcast_to(band_pass(rng.standard_normal((1, n, n)) * 2, PIXEL_A, 0.3, 1.0), (300, n, n))
    truth = rng.choice([1.0, 0.3, -0.8], 300)
    images = truth[:, None, None] * field + rng.standard_normal((300, n, n))
    outside = np.hypot(*(np.indices((n, n)) - n // 2)) > 15
    share, sigma = background.static_share(images.astype(np.float32), field.copy(), outside, PIXEL_A)
    z = (share - truth) / sigma
    assert abs(z.mean()) < 0.3
    assert 0.85 < z.std() < 1.2


def test_band_keeps_its_share_of_white_noise():
    """Catches double counting of the half plane: variance after the filter equals the closed form."""
    rng = np.random.default_rng(4)
    images = band_pass(rng.standard_normal((40, 64, 64)), PIXEL_A, 0.4, 0.9)
    assert images.var() == pytest.approx(white_share(64, PIXEL_A, 0.4, 0.9), rel=0.02)


def test_averages_of_different_parts_of_the_field_are_one_field():
    """Catches a corner that is not taken into account, and a hole where only one of two averages reaches."""
    whole = np.random.default_rng(3).normal(17, 1, (2, 40, 60)).astype(np.float32)
    corner = np.array([[0, 0], [20, 10]])
    parts = np.stack([whole[0, :30, :40], whole[1, 10:, 20:]])
    shared = background.field_at(parts, np.array([10.0, 30.0]), 15, (22, 12), 12, corner)
    assert np.allclose(shared, 0.75 * whole[0, 12:24, 22:34] + 0.25 * whole[1, 12:24, 22:34])
    first_alone = background.field_at(parts, np.array([10.0, 30.0]), 15, (4, 4), 12, corner)
    assert np.array_equal(first_alone, whole[0, 4:16, 4:16])
    outside = background.field_at(parts, np.array([10.0, 30.0]), 35, (4, 4), 12, corner)
    assert np.isnan(outside).all()
