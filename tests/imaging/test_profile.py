"""An atom's radial profile and the overlap of two: closed forms against transforms and sums over pixels."""

import drawing
import numpy as np
import pytest
from scipy.special import j0

from perrin.imaging.profile import Profile, high_pass, overlap

RINGED = Profile(np.array([0.30, 0.42, 0.60]), np.array([0.9, 1.4, -1.1]), 0.2)
PLAIN = Profile.gaussian(0.45, 0.2)


@pytest.mark.parametrize("profile", [PLAIN, RINGED])
def test_values_are_the_transform_of_the_transform(profile):
    """Would catch a wrong width of the hole that the high-pass leaves, and a lost factor 2 pi."""
    k = np.linspace(0, 4, 4001)
    r = np.array([0.0, 0.4, 1.1, 2.7])
    expected = np.trapezoid(2 * np.pi * k * profile.transform(k) * j0(2 * np.pi * k * r[:, None]), k, axis=1)
    np.testing.assert_allclose(profile.value(r), expected, atol=1e-4)


def test_gaussian_has_height_one():
    """Would catch a height that is 1 before the high-pass and not after it."""
    assert PLAIN.value(0.0) == pytest.approx(1.0)


def test_high_pass_of_an_image_is_the_high_pass_of_the_profile():
    """Would catch a profile that sees another filter than the frames: every amplitude would be biased."""
    image = drawing.high_pass(drawing.spots(np.array([[0.13, -0.31]]), [1.0], RINGED), 0.2)
    axis = (np.arange(drawing.SIDE) - drawing.SIDE // 2) * drawing.PIXEL_A
    r = np.hypot(axis[None, :] - 0.13, axis[:, None] + 0.31)
    near = r < 8
    np.testing.assert_allclose(image[near], RINGED.value(r)[near], atol=2e-3 * RINGED.value(0.0))
    assert high_pass(0.0, 0.2) == 0 and high_pass(1.0, 0.2) > 0.99999


@pytest.mark.parametrize("first, second", [(PLAIN, PLAIN), (PLAIN, RINGED), (RINGED, RINGED)])
def test_overlap_is_the_sum_over_pixels(first, second):
    """Would catch a pixel's area forgotten, a table in r instead of r squared, and a cut that comes too early."""
    side, pixel_A = 96, 0.25  # fine enough for the narrowest Gaussian
    table = overlap(first, second, pixel_A)

    def image(place, profile):
        return drawing.high_pass(drawing.spots(place, [1.0], profile, side, pixel_A), 0.2, pixel_A)

    here = image(np.array([[0.1, 0.05]]), first)
    for d in ([0, 0], [0.5, 0.2], [1.3, -0.6], [0.3, 2.1]):
        there = image(np.array([[0.1, 0.05]]) + d, second)
        q = np.square(d).sum()
        found = np.interp(q, np.arange(len(table.table)) * table.dq, table.table[:, 0])
        assert found == pytest.approx((here * there).sum(), abs=2e-3 * table.table[0, 0])


def test_overlap_carries_its_own_derivatives():
    """Would catch derivatives in r where those in r squared are asked for: Gauss-Newton steps would be wrong."""
    K = overlap(RINGED, RINGED, drawing.PIXEL_A)
    inner = K.table[:-3]
    for column in (0, 1):
        slope = np.gradient(inner[:, column], K.dq, edge_order=2)
        np.testing.assert_allclose(
            slope, inner[:, column + 1], atol=3e-3 * np.abs(inner[:, column + 1]).max()
        )
    assert K.reach2_A2 == pytest.approx((len(K.table) - 2) * K.dq)
    assert not K.table[-2:].any()
