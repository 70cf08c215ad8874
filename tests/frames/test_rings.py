"""Rings of reflections: the pixel size and the element that a movie itself tells of."""

import numpy as np
import pytest
from tumbling import PIXEL_A, tumbling_frames

from perrin.files.elements import element
from perrin.frames.classes2d import disc_mask
from perrin.frames.rings import SHOWN, misplaced, ring_power, ring_scale

MASK = disc_mask(64, PIXEL_A, 9.0)


@pytest.fixture(scope="module")
def frames():
    """A ball of Pt atoms, lattice constant 3.92 A, in 500 frames."""
    return tumbling_frames(500, radius_A=8.0, step_deg=6.0, seed=4)[0]


@pytest.mark.parametrize("said_A", [0.30, 0.345, PIXEL_A, 0.37, 0.42])
def test_the_pixel_size_is_found_again(frames, said_A):
    """Would catch a scale that points the wrong way, and alarms about sizes that are right within some per cent."""
    scale, sentence = misplaced(frames, said_A, MASK, 16.0 * said_A / PIXEL_A, element("Pt"))
    assert said_A * scale == pytest.approx(PIXEL_A, rel=0.015)
    assert bool(sentence) == (abs(said_A / PIXEL_A - 1) > 0.05)
    if sentence:
        assert f"not {said_A:.3f}" in sentence and "correct pixel_size_A or element" in sentence


@pytest.mark.parametrize(
    ("symbol", "alarm"), [("Pt", False), ("Ir", False), ("Cu", True), ("Ni", True), ("Ti", True)]
)
def test_another_metal_is_told(frames, symbol, alarm):
    """Would catch atoms fitted on the lattice of another metal without a word; Ir differs from Pt by 2 % only."""
    assert bool(misplaced(frames, PIXEL_A, MASK, 16.0, element(symbol))[1]) == alarm


def test_noise_says_nothing():
    """Would catch a pixel size that is doubted because of noise."""
    for seed in range(5):
        noise = np.random.default_rng(seed).standard_normal((200, 64, 64)).astype(np.float32)
        assert misplaced(noise, PIXEL_A, MASK, 16.0, element("Pt"))[1] == ""


def test_power_is_over_white_noise():
    """Would catch a mask or a number of pixels that scales the power."""
    noise = np.random.default_rng(0).standard_normal((300, 64, 64)).astype(np.float32)
    k, power = ring_power(noise, PIXEL_A, MASK)
    assert k.min() >= 0.32 and k.max() < 1.0
    assert abs(power.mean()) < 0.02
    assert ring_scale(k, power, 16.0, element("Pt"))[2] < SHOWN
