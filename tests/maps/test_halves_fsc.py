"""Half sets and Fourier shell correlation: identities, pure noise, a planted signal of known SNR."""

import numpy as np
import pytest
from scipy import ndimage

from perrin.files.errors import InputError
from perrin.files.records import Map
from perrin.maps.fsc import corrected_fsc, fsc, fsc_columns, resolution
from perrin.maps.halves import half_sets
from perrin.maps.mask import soft_sphere


def test_blocks_follow_the_frame_numbers():
    """Catches blocks counted in rows: rejected frames must not move a block's edge."""
    frames = np.array([100, 101, 149, 150, 199, 200, 260])
    first, second = half_sets(frames, "blocks", 50)
    np.testing.assert_array_equal(second, [False, False, False, True, True, False, True])
    np.testing.assert_array_equal(first, ~second)


def test_a_number_of_frames_stands_for_all_of_them():
    """Catches a count taken for one frame."""
    np.testing.assert_array_equal(half_sets(7, "blocks", 3)[1], half_sets(np.arange(7), "blocks", 3)[1])


def test_alternate_and_short_windows():
    """Catches an empty half of a window that is shorter than a block."""
    first, second = half_sets(np.arange(7), "alternate")
    assert (first.sum(), second.sum()) == (4, 3)
    first, second = half_sets(np.arange(9), "blocks", 50)
    assert (first.sum(), second.sum()) == (4, 5)
    with pytest.raises(InputError, match="blocks or alternate"):
        half_sets(np.arange(3), "random")


@pytest.mark.parametrize("n", [24, 25])
def test_equal_maps_agree_and_opposite_ones_oppose(n):
    """Catches a lost conjugate or a wrong norm."""
    a = Map(np.random.default_rng(0).normal(size=(n, n, n)), 0.5)
    np.testing.assert_allclose(fsc(a, a)[0]["fsc"], 1, atol=1e-5)
    np.testing.assert_allclose(fsc(a, Map(-a.data, 0.5))[0]["fsc"], -1, atol=1e-5)
    assert fsc(a, a)[0]["resolution_A"][-1] == pytest.approx(1 / (n // 2 / (n * 0.5)))


def test_noise_scatters_as_its_coefficients_say():
    """Catches coefficients counted twice: FSC of unrelated noise has variance 1 / coefficients."""
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(12):
        a, b = (Map(rng.normal(size=(24, 24, 24)), 1.0) for _ in range(2))
        table, limit = fsc(a, b)
        pulls.append(table["fsc"][2:] * np.sqrt(2 * table["coefficients"][2:]))
    assert 0.85 < np.std(pulls) < 1.15
    assert limit == np.inf


def test_signal_of_known_share():
    """Catches a wrong definition: signal S and noise N per shell give S / (S + N)."""
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(40,) * 3)
    a, b = (Map(signal + rng.normal(size=signal.shape), 1.0) for _ in range(2))
    assert fsc(a, b)[0]["fsc"][8:].mean() == pytest.approx(0.5, abs=0.02)


def test_resolution_interpolates_and_ignores_the_gap_between_reflections():
    """Catches the first crossing taken for the resolution of a crystal."""
    frequency = np.arange(1, 11) / 10
    table = {"frequency_per_A": frequency, "coefficients": np.full(10, 1e6)}
    curve = np.array([0.9, 0.05, 0.9, 0.9, 0.1, 0.8, 0.343, -0.057, 0.0, 0.0])
    assert 1 / resolution(table | {"fsc": curve}) == pytest.approx(0.75)
    assert resolution(table | {"fsc": np.ones(10)}) == pytest.approx(1.0)


def test_the_masks_share_is_taken_out():
    """Catches a mask that makes pure noise agree: smooth noise under a small sphere, corrected near zero."""
    rng = np.random.default_rng(3)
    n = 40
    mask = soft_sphere(n, 1.0, 8, 2.0)
    common = ndimage.gaussian_filter(rng.normal(size=(n, n, n)), 4) * 60
    a, b = (Map(common + rng.normal(size=(n, n, n)) + 5, 1.0) for _ in range(2))
    table, _ = corrected_fsc(a, b, mask, seed=1)
    again, _ = corrected_fsc(a, b, mask, seed=1)
    np.testing.assert_array_equal(table["fsc"], again["fsc"])
    start = np.flatnonzero(table["fsc_unmasked"] < 0.5)[0] + 3
    assert np.abs(table["fsc"][start:]).mean() < 0.15
    assert set(table) == set(fsc_columns())
