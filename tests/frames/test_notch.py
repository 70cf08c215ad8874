import numpy as np
import pytest

from perrin.frames import notch, sheets
from perrin.frames.bands import frequencies

PIXEL_A, N = 0.358, 96


def wave(k, amplitude, n=N):
    y, x = (np.indices((n, n)) - n // 2) * PIXEL_A
    return (amplitude * np.cos(2 * np.pi * (k[0] * x + k[1] * y) + 0.7)).astype(np.float32)


def test_the_published_holes_are_the_closed_form():
    """Catches holes applied twice, rounded radii, half-widths in the wrong unit."""
    rng = np.random.default_rng(0)
    frame = rng.standard_normal((1, N, N)).astype(np.float32)
    before, after = np.fft.rfft2(frame[0]), np.fft.rfft2(notch.multiply_holes(frame, [7.0], PIXEL_A)[0])
    ky, kx = np.fft.fftfreq(N, PIXEL_A)[:, None], np.fft.rfftfreq(N, PIXEL_A)
    weight = np.ones(before.shape)
    for i, (x, y) in enumerate(sheets.reflections(7.0)):
        for sign in (1, -1):
            width = [3, np.sqrt(6), np.sqrt(3)][i // 3] / (N * PIXEL_A)
            d = np.minimum(np.hypot(kx - sign * x, ky - sign * y) / width, 1)
            weight = np.minimum(weight, 1 - (1 - d**2) ** 2)
    # the columns kx = 0 and Nyquist hold their own mirror images; compare elsewhere
    assert np.allclose(after[:, 1:-1], (before * weight)[:, 1:-1], atol=1e-3)
    assert weight.min() < 0.2


def test_inpainting_takes_sheets_and_nothing_else():
    """Catches holes in the wrong place: a sheet loses 90 % of its power, other coefficients do not change."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((4, N, N)).astype(np.float32)
    amplitude = 0.5
    sheet = sum(wave(k, amplitude) for k in sheets.reflections(13.0)[:6])
    expected = np.full(9, amplitude / 2 * N * N)
    cleaned, protected = notch.inpaint_holes(noise + sheet, [13.0], PIXEL_A, 0.0295, expected)
    spots = notch.spot_coefficients([13.0], N, PIXEL_A, 0.0295)
    index = np.unique(np.concatenate([s[2] for s in spots if s[0] < 2]))

    def power(images):
        return (np.abs(np.fft.rfft2(images).reshape(len(images), -1)[:, index]) ** 2).sum()

    assert power(cleaned) < 0.1 * power(noise + sheet)
    everything = np.unique(np.concatenate([s[2] for s in spots]))
    rest = np.setdiff1d(np.arange(N * (N // 2 + 1)), everything)
    rest = rest[(rest % (N // 2 + 1) > 0) & (rest % (N // 2 + 1) < N // 2)]
    change = np.fft.rfft2(cleaned) - np.fft.rfft2(noise + sheet)
    assert np.abs(change.reshape(4, -1)[:, rest]).max() < 0.02
    assert protected < 0.05


def test_a_reflection_of_the_particle_is_left_alone():
    """Catches damage to a lattice whose reflection coincides with a sheet's."""
    rng = np.random.default_rng(2)
    k = sheets.reflections(13.0)[0]
    frames = (rng.standard_normal((3, N, N)) + wave(k, 1.5)).astype(np.float32)
    expected = np.full(9, 0.1 * N * N)
    cleaned, _ = notch.inpaint_holes(frames, [13.0], PIXEL_A, 0.0295, expected)
    model = wave(k, 1.0)
    kept = np.einsum("fyx,yx->f", cleaned, model) / np.einsum("fyx,yx->f", frames, model)
    assert np.allclose(kept, 1, atol=0.02)


@pytest.mark.parametrize("n", [96, 128, 160])
def test_holes_are_as_wide_in_every_box(n):
    """Catches a width in Fourier pixels: the area of the holes in 1/A^2 must not depend on the box."""
    spots = notch.spot_coefficients([7.0], n, PIXEL_A, 0.05)
    area = sum(len(s[2]) for s in spots) / (n * PIXEL_A) ** 2
    half_plane = 9 * np.pi * 0.05**2
    assert area == pytest.approx(half_plane, rel=0.12)
    assert frequencies(n, PIXEL_A).shape == (n, n // 2 + 1)
