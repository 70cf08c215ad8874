"""The pieces of the tracker against closed forms and brute force."""

import itertools

import numpy as np
import pytest

from perrin.frames import centre, energy, pixels


def test_noise_energy_is_that_of_noise():
    """Catches a wrong normalisation of the gain: white noise behind it must have the predicted energy."""
    rng = np.random.default_rng(1)
    frames = rng.standard_normal((60, 64, 72)).astype(np.float32)
    padded = energy.padded_shape(frames.shape[1:])
    gain = energy.first_gain(padded, 0.358)
    band = np.fft.irfft2(np.fft.rfft2(frames, s=padded) * gain, s=padded)
    assert abs(np.square(band).mean() / energy.noise_energy(gain, padded) - 1) < 0.05


def test_band_energy_peaks_on_texture_and_ignores_shadow():
    """Catches a band in the wrong place: fringes of 2.27 A are seen, a smooth disc four times as strong is not."""
    y, x = np.mgrid[:96, :96]
    fringes = np.cos(2 * np.pi * x * 0.358 / 2.27) * (np.hypot(x - 60, y - 30) < 15)
    disc = 4.0 * np.exp(-((x - 25) ** 2 + (y - 65) ** 2) / (2 * 8.0**2))
    frame = (fringes + disc)[None].astype(np.float32)
    gain = energy.first_gain(energy.padded_shape((96, 96)), 0.358)
    seen = energy.band_energy(frame, gain, energy.padded_shape((96, 96)))[0]
    assert seen[15, 30] > 100 * abs(seen[32, 12])


def test_correlation_with_a_radial_weight_is_the_sum():
    """Catches wrap-around and a shifted kernel: brute force over all pixels."""
    rng = np.random.default_rng(2)
    image = rng.standard_normal((1, 13, 17)).astype(np.float32)
    profile = np.array([1.0, 0.8, 0.3, 0.1])
    got = energy.correlate_radial(image, profile, 1.0)[0]
    y, x = np.mgrid[:13, :17]
    for row, column in ((0, 0), (6, 8), (12, 3)):
        radius = np.hypot(y - row, x - column)
        weight = np.where(radius <= 4, np.interp(radius, np.arange(4) + 0.5, profile, right=0), 0)
        assert got[row, column] == pytest.approx((weight * image[0]).sum(), abs=1e-4)


def test_forward_backward_is_the_sum_over_all_paths():
    """Catches any error of the recursion: posterior means by enumeration of all paths on a tiny grid."""
    rng = np.random.default_rng(3)
    evidence = rng.normal(0, 1.5, (3, 2, 3)).astype(np.float32)
    walk, share = 1.0, (1.0 / energy.BIN_PX) ** 2
    place, spread, total, _ = centre.follow(evidence, walk, jump=0.0)

    def one(size, a, b):
        step = np.zeros((size, size))
        for i in range(size):
            step[i, i] += 1 - share
            step[i, max(i - 1, 0)] += share / 2
            step[i, min(i + 1, size - 1)] += share / 2
        return step[a, b]

    cells = list(itertools.product(range(2), range(3)))
    mass, sums = 0.0, np.zeros((3, 2))
    for path in itertools.product(cells, repeat=3):
        p = np.prod([np.exp(evidence[t][cell]) for t, cell in enumerate(path)]) / 6
        for (y0, x0), (y1, x1) in zip(path, path[1:]):
            p *= one(2, y0, y1) * one(3, x0, x1)
        mass += p
        sums += p * np.array([(x, y) for y, x in path])
    assert np.allclose(place, sums / mass * energy.BIN_PX + 0.5, atol=1e-4)
    assert total == pytest.approx(np.log(mass), abs=1e-4)
    assert (spread > 0).all()


def test_a_message_carries_a_path_across_blocks():
    """Catches blocks that forget: two halves joined by the kept message give the path of the whole."""
    rng = np.random.default_rng(4)
    evidence = rng.normal(0, 2.0, (30, 12, 12)).astype(np.float32)
    whole = centre.follow(evidence, 0.8)[0]
    first, _, _, message = centre.follow(evidence, 0.8, keep=10)
    second = centre.follow(evidence[10:], 0.8, start=message)[0]
    assert np.allclose(first[:10], whole[:10]) and np.allclose(second, whole[10:], atol=1e-3)


def test_peaks_are_levelled_with_their_shapes_kept():
    """Catches a cut that flattens: the differences about a high peak stay, its height becomes the limit."""
    image = np.zeros((1, 20, 40), np.float32)
    image[0, 10, 10], image[0, 10, 11], image[0, 10, 30] = 50, 45, 6
    centre.level_peaks(image, 4, np.float32(10))
    assert image[0, 10, 10] == pytest.approx(10) and image[0, 10, 11] == pytest.approx(5)
    assert image[0, 10, 30] == 6


def test_faulty_pixels_are_found_and_repaired():
    """Catches false alarms on structured background and misses of hot, dead and neighbouring faulty pixels."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:60, :70]
    level = 17 * (1 + 0.05 * np.cos(x / 2) + 0.1 * np.cos(y / 15))
    frames = rng.poisson(np.broadcast_to(level, (200, 60, 70))).astype(np.float32)
    planted = [(5, 6), (5, 7), (30, 0), (59, 69)]
    for (row, column), value in zip(planted, (90, 80, 0, 255)):
        frames[:, row, column] = value
    found = pixels.faulty_pixels(frames.mean(0))
    assert sorted(map(tuple, found)) == planted
    pixels.repair(frames, found)
    assert all(abs(frames[:, row, column].mean() - level[row, column]) < 2.5 for row, column in planted)


def test_blank_frames_are_told_from_dim_ones():
    """Catches thresholds that take a dim or bright frame for none."""
    rng = np.random.default_rng(6)
    frames = rng.poisson(17, (6, 50, 50)).astype(np.float32)
    frames[1] = 0
    frames[2] = rng.poisson(12, (50, 50))
    frames[3] = 255
    frames[4] = np.minimum(rng.poisson(40, (50, 50)), 45)
    assert pixels.blank_frames(frames, 17.0).tolist() == [False, True, False, True, True, False]


def test_boxes_are_cut_at_their_corner_and_filled_outside():
    """Catches swapped axes, off-by-one corners, and wrap-around at the border."""
    frame = np.arange(20 * 30, dtype=np.float32).reshape(1, 20, 30)
    assert np.array_equal(pixels.cut_boxes(frame, [(4, 7)], 8)[0], frame[0, 7:15, 4:12])
    over = pixels.cut_boxes(frame, [(26, -3)], 8)[0]
    assert np.array_equal(over[3:, :4], frame[0, :5, 26:])
    assert np.allclose(over[:3], frame[0, :5, 26:].mean()) and np.allclose(
        over[:, 4:], frame[0, :5, 26:].mean()
    )


def test_background_spectrum_has_unit_noise_and_shows_fringes():
    """Catches a wrong scale, a wrong zero frequency, and a particle that leaks into its own background."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:96, :96]
    texture = 0.6 * np.cos(2 * np.pi * 20 * y / 64) * (np.hypot(x - 48, y - 48) < 15)
    level = 17 * (1 + 0.1 * np.cos(2 * np.pi * 12 * x / 64) + texture)
    frames = rng.poisson(np.broadcast_to(level, (80, 96, 96))).astype(np.float32)
    power = pixels.background_power(frames, (48, 48), 64, 18)
    assert power.shape == (64, 64)
    assert power[32, 32 + 12] > 8 and power[32, 32 - 12] > 8
    assert np.median(power) == pytest.approx(1.0, abs=0.1)
    assert power[32 + 20, 32] < 1.5
