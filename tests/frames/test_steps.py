"""Steps read from lattice waves, and the path that fits them."""

import numpy as np

from perrin.frames import steps
from perrin.frames.energy import BIN_PX, SPECTRUM_STEP

PIXEL_A = 0.358


def test_parabola_reads_a_quadratic_exactly():
    """Catches a wrong sign, unit or order of axes: slope and curvature of a quadratic at a place off the grid."""
    bend = np.array([[0.30, 0.10], [0.10, 0.20]])
    y, x = np.mgrid[:30, :40].astype(float)
    off = np.stack([x - 17.3, y - 12.6])
    maps = -0.5 * np.einsum("ij,iyx,jyx->yx", bend, off, off)[None]
    place = np.array([[19.1, 11.8]])
    slope, curve = steps.parabola(maps, place, 2)
    np.testing.assert_allclose(curve[0], bend, atol=1e-9)
    np.testing.assert_allclose(slope[0], -bend @ (place[0] - [17.3, 12.6]), atol=1e-9)


def test_banded_equals_the_dense_matrix():
    """Catches a block put on the wrong band: against the matrix written out."""
    rng = np.random.default_rng(0)
    n = 7
    own = rng.normal(size=(n, 2, 2))
    own += own.transpose(0, 2, 1)
    beside = [rng.normal(size=(n - lag, 2, 2)) for lag in (1, 2, 3)]
    dense = np.zeros((2 * n, 2 * n))
    for i in range(n):
        dense[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = own[i]
        for lag, blocks in enumerate(beside, 1):
            if i + lag < n:
                j = 2 * (i + lag)
                dense[j : j + 2, 2 * i : 2 * i + 2] = blocks[i]
    bands = steps._banded(own, beside)
    for down, band in enumerate(bands):
        np.testing.assert_allclose(band[: 2 * n - down], np.diagonal(dense, -down))


def _drifting(n, walk_px, seed):
    """Frames of one patch of lattice waves, noise 1, that walks; and where it is."""
    rng = np.random.default_rng(seed)
    place = 48 + np.cumsum(walk_px * rng.normal(size=(n, 2)), 0)
    y, x = np.mgrid[:96, :96]
    frames = rng.normal(size=(n, 96, 96)).astype(np.float32)
    waves = 2 * np.pi * 0.45 * PIXEL_A * np.array([[1.0, 0.2], [-0.3, 0.95]])
    for frame, (x0, y0) in zip(frames, place):
        for kx, ky in waves:
            frame += np.cos(kx * (x - x0) + ky * (y - y0)) * (np.hypot(x - x0, y - y0) < 25)
    return frames, place


def test_steps_sharpen_a_blurred_path():
    """Catches steps of the wrong sign or scale: a path 1 px off in every frame comes within 0.25 px of the truth.

    The evidence is a parabola as wide as that error, so that the places alone leave it.
    """
    n = 60
    frames, truth = _drifting(n, 0.3, 1)
    rng = np.random.default_rng(2)
    seen = truth + rng.normal(size=(n, 2))
    excess = np.zeros(60)
    excess[int(0.40 / SPECTRUM_STEP) : int(0.50 / SPECTRUM_STEP)] = 3.0
    y, x = np.mgrid[:48, :48] * BIN_PX + 0.5
    evidence = np.stack([-0.5 * ((x - a) ** 2 + (y - b) ** 2) for a, b in seen]) / steps.PLACE_TEMPER
    found, middle = steps.step_evidence(frames, seen, PIXEL_A, excess, 10.0)
    assert [len(maps) for maps in found] == [n - 1, n - 2, n - 3]
    path = steps.refine(seen, evidence, found, middle, 0.5, np.zeros(n, bool))
    error = path - truth
    assert np.sqrt(np.square(error - error.mean(0)).mean()) < 0.25
    assert np.sqrt(np.square(seen - truth).mean()) > 0.8


def test_a_leap_stays_a_leap():
    """Catches a walk that pulls both sides of a jump together: no frame may end between its ends."""
    n = 40
    place = np.full((n, 2), 40.0)
    place[20:, 0] += 16
    y, x = np.mgrid[:48, :48] * BIN_PX + 0.5
    evidence = np.stack([-0.02 * ((x - a) ** 2 + (y - b) ** 2) for a, b in place])
    flat = [np.zeros((n - lag, 21, 21), np.float32) for lag in (1, 2, 3)]
    path = steps.refine(place, evidence, flat, np.rint(place).astype(int), 0.6, np.zeros(n, bool))
    np.testing.assert_allclose(path, place, atol=0.1)
