import numpy as np
import pytest

from perrin.frames import shrinkage
from perrin.frames.bands import band_pass

PIXEL_A = 0.358


@pytest.mark.parametrize("n", [48, 64, 96])
def test_the_coarse_grid_holds_the_band(n):
    """Catches a shifted centre or a lost scale: band-limited images survive the way there and back."""
    rng = np.random.default_rng(0)
    images = band_pass(rng.standard_normal((3, n, n)), PIXEL_A, 0.0, 0.95)
    size = shrinkage.coarse_size(n, PIXEL_A, 1.0)
    assert size < n
    assert np.abs(shrinkage.to_fine(shrinkage.to_coarse(images, size), n) - images).max() < 1e-4


def test_the_coarse_grid_keeps_the_centre():
    """Catches half-pixel shifts: a spot at the box centre stays at index n // 2."""
    r2 = ((np.indices((64, 64)) - 32) ** 2).sum(0)
    coarse = shrinkage.to_coarse(np.exp(-r2 / 18.0)[None].astype(np.float32), 46)[0]
    assert np.unravel_index(coarse.argmax(), coarse.shape) == (23, 23)
    assert coarse[22, 23] == pytest.approx(coarse[24, 23], rel=1e-3)


def test_white_noise_keeps_its_variance():
    """Catches a wrong unit of the noise, on which every weight depends."""
    noise = np.random.default_rng(1).standard_normal((50, 64, 64)).astype(np.float32)
    assert shrinkage.to_coarse(noise, 46).var() == pytest.approx(1, abs=0.06)


def test_shrinkage_follows_the_formula():
    """Gavish & Donoho: values below the edge go, the others come to the noise-free singular value times cosines."""
    f, d, sd = 1000, 400, 2.0
    edge = sd * (np.sqrt(f) + np.sqrt(d))
    assert shrinkage.optimal_shrinkage([0.999 * edge, 1.05 * edge], f, d, sd)[0] == 0
    x = 3.0  # noise-free value in units of sd sqrt(f)
    beta = d / f
    y = np.sqrt((x + 1 / x) * (x + beta / x))
    best = x * np.sqrt((x**4 - beta) / (x**4 + x**2 * beta)) * np.sqrt((x**4 - beta) / (x**4 + x**2))
    found = shrinkage.optimal_shrinkage([y * sd * np.sqrt(f)], f, d, sd)[0]
    assert found == pytest.approx(best * sd * np.sqrt(f), rel=1e-6)


def test_noise_alone_is_left_with_nothing():
    """Catches a threshold below the noise: pure noise keeps no more than the odd component."""
    noise = np.random.default_rng(2).standard_normal((300, 48, 48)).astype(np.float32)
    out, _, weights, _ = shrinkage.shrink(noise, PIXEL_A, 6.0)
    assert (weights > 0).sum() <= 1
    assert out.var() < 0.01


def test_the_planted_rank_is_found_and_the_error_is_small():
    """Catches weights that help less than any hard choice of rank (brute force over ranks)."""
    rng = np.random.default_rng(3)
    f, n, rank = 400, 48, 6
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * PIXEL_A
    shapes = band_pass(rng.standard_normal((rank, n, n)), PIXEL_A, 0.1, 0.8) * (r < 5)
    shapes = band_pass(shapes, PIXEL_A, 0.0, 0.9)
    clean = np.einsum("fk,kyx->fyx", rng.standard_normal((f, rank)) * [2, 1.5, 1.2, 1, 0.8, 0.6], shapes)
    noisy = (clean + rng.standard_normal((f, n, n))).astype(np.float32)
    out, _, weights, _ = shrinkage.shrink(noisy, PIXEL_A, 7.0)
    assert (weights > 0).sum() in (rank - 1, rank, rank + 1)
    disc = (r <= 7).ravel()
    x, truth = noisy.reshape(f, -1)[:, disc], clean.reshape(f, -1)[:, disc]
    u, s, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
    hard = min(np.square((u[:, :k] * s[:k]) @ v[:k] + x.mean(0) - truth).sum() for k in range(1, 12))
    assert np.square(out.reshape(f, -1)[:, disc] - truth).sum() < hard
    slope = (out * clean).sum() / (clean * clean).sum()
    assert 0.8 < slope < 1.05


def test_a_tumbling_particle_comes_out_clearer(ball):
    """On what it is made for: nothing is left outside the disc, and frames come nearer to the truth."""
    frames, _, _, clean = ball
    out = shrinkage.shrink(frames, PIXEL_A, 9.0)[0]
    r = np.hypot(*(np.indices(frames.shape[1:]) - frames.shape[1] // 2)) * PIXEL_A
    assert out[:, r > 11].std() < 0.02

    def likeness(images):
        a, b = (band_pass(x, PIXEL_A, 0.2, 0.95)[:, r < 8] for x in (images, clean))
        return (a * b).sum() / np.sqrt(np.square(a).sum() * np.square(b).sum())

    assert likeness(out) > 1.3 * likeness(frames)


def test_time_helps_where_there_is_memory_and_harms_nowhere():
    """Closed form: an autoregressive series in noise is predicted with the error of the optimal filter."""
    rng = np.random.default_rng(6)
    f, rho, noise = 20_000, 0.9, 1.0
    signal = np.zeros((f, 2))
    signal[:, 1] = rng.standard_normal(f)  # no memory
    for t in range(1, f):
        signal[t, 0] = rho * signal[t - 1, 0] + np.sqrt(1 - rho**2) * rng.standard_normal()
    scores = signal + noise * rng.standard_normal((f, 2))
    weights = np.array([0.5, 0.5])
    found = shrinkage.smooth_in_time(scores, weights, 3)
    lag = np.abs(np.arange(-3, 4))
    covariance = rho ** np.abs(
        np.subtract.outer(lag * np.sign(np.arange(-3, 4)), lag * np.sign(np.arange(-3, 4)))
    )
    taps = np.linalg.solve(covariance + noise**2 * np.eye(7), rho**lag)
    best = 1 - taps @ rho**lag
    assert np.square(found[:, 0] - signal[:, 0]).mean() == pytest.approx(best, rel=0.05)
    assert np.square(found[:, 1] - signal[:, 1]).mean() == pytest.approx(0.5, rel=0.05)
    assert np.allclose(shrinkage.smooth_in_time(scores, weights, 0), scores * weights)


def test_a_series_stays_in_its_place():
    """Catches a filter that runs ahead or behind: the smoothed pulse keeps its centre."""
    scores = 0.01 * np.random.default_rng(7).standard_normal((200, 1))
    scores[:, 0] += np.exp(-(((np.arange(200) - 120) / 3.0) ** 2))
    near = np.arange(108, 133)
    found = shrinkage.smooth_in_time(scores, np.array([0.9]), 3)[near, 0]
    assert (found * near).sum() / found.sum() == pytest.approx(120, abs=0.3)


def test_what_is_left_comes_back_by_frequency():
    """Catches lost weak signal: many weak components, none above the edge, in one narrow band."""
    rng = np.random.default_rng(8)
    n = 48
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * PIXEL_A
    clean = band_pass(rng.standard_normal((600, n, n)), PIXEL_A, 0.40, 0.50) * 1.0
    noisy = (clean + rng.standard_normal(clean.shape)).astype(np.float32)
    out = shrinkage.shrink(noisy, PIXEL_A, 7.0, noise_sd=1.0)[0]
    inside = r < 6
    error = np.square(out - clean)[:, inside].mean()
    # noise and signal have equal power in the band and nothing elsewhere: half of the signal's variance is lost
    assert error < 0.75 * np.square(clean)[:, inside].mean()
    assert np.square(out)[:, inside].mean() > 0.2 * np.square(clean)[:, inside].mean()
