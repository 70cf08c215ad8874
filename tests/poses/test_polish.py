"""Poses by Gauss-Newton: derivatives against finite differences, planted poses, error bars against the scatter."""

import drawing
import numpy as np
import pytest

from perrin.imaging.rotations import angles_between, rotvec_matrices
from perrin.poses.polish import evaluate, polish


def evaluated(filtered, scene, pair, f, R, s, matrix=True):
    n = len(scene.xyz_A)
    g_c, g_n, H = np.empty(5), np.empty(5), np.empty((5, 5))
    c, squared = evaluate(
        filtered.coefficient[f], filtered.centre, filtered.step_A, scene.xyz_A, scene.occupancy, pair.series,
        R, s, np.empty((n, 3)), g_c, g_n, H, matrix,
    )  # fmt: skip
    return c, squared, g_c, g_n, H


def moved(R, s, theta):
    return rotvec_matrices(theta[None, 2:])[0] @ R, s + theta[:2]


def test_derivatives_by_finite_differences(scene, filtered, pair):
    """Would catch a turn on the wrong side of R, a wrong sign of one axis, a lost factor of the norm's gradient."""
    h = 2e-4
    for f in (0, 7):
        R, s = scene.rotation[f], scene.shift_A[f] + 0.05
        _, _, g_c, g_n, H = evaluated(filtered, scene, pair, f, R, s)
        c, norm, image = [], [], []
        for i in range(5):
            both = [
                evaluated(filtered, scene, pair, f, *moved(R, s, sign * h * np.eye(5)[i])) for sign in (1, -1)
            ]
            c.append((both[0][0] - both[1][0]) / (2 * h))
            norm.append((both[0][1] - both[1][1]) / (2 * h))
            ends = [moved(R, s, sign * 1e-3 * np.eye(5)[i]) for sign in (1, -1)]
            up, down = [
                drawing.model_image(scene.xyz_A, scene.occupancy, *end, scene.profile) for end in ends
            ]
            image.append((up - down).ravel() / 2e-3)
        np.testing.assert_allclose(g_c, c, atol=0.01 * np.abs(c).max())
        np.testing.assert_allclose(g_n, norm, atol=0.02 * np.abs(norm).max())
        expected = np.array(image) @ np.array(image).T
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        np.testing.assert_allclose(H / scale, expected / scale, atol=0.02)


@pytest.fixture(scope="module")
def polished(scene, filtered, pair):
    rng = np.random.default_rng(0)
    start = rotvec_matrices(np.radians(1.5) * rng.normal(size=(120, 3))) @ scene.rotation
    shift = scene.shift_A + 0.12 * rng.normal(size=(120, 2))
    return polish(
        filtered, scene.xyz_A, scene.occupancy, pair, start, shift, np.full(120, 3.0), iterations=12
    )


def test_planted_poses_come_back(scene, polished):
    """Would catch steps that do not converge; from offsets of 1.5 degrees and 0.12 angstrom an axis."""
    R, s, a, gain, sigma = polished
    miss = np.degrees(angles_between(R, scene.rotation))
    assert np.median(miss) < 1.0 and np.quantile(miss, 0.95) < 2.5
    assert np.sqrt(np.mean(np.square(s - scene.shift_A))) < 0.05
    assert np.median(a / scene.amplitude) == pytest.approx(1, abs=0.03)
    assert gain.min() > 0


def test_error_bars_agree_with_the_scatter(scene, polished):
    """Would catch a sigma of the whole rotation given for one axis (a factor 1.7), or one without the amplitude."""
    R, _, _, _, sigma = polished
    angle = angles_between(R, scene.rotation)
    pull = angle / sigma
    inside = pull < 5
    assert inside.mean() > 0.97
    assert np.sqrt(np.mean(np.square(pull[inside])) / 3) == pytest.approx(1, abs=0.15)


def test_gain_is_the_likelihood_ratio(scene, polished, filtered, pair):
    """Would catch a gain that holds the prior: it must be |y|^2 / 2 - |y - a M|^2 / 2 in high-passed pixels."""
    R, s, a, gain, _ = polished
    for f in (3, 50):
        y = drawing.high_pass(scene.frames[f].astype(float), scene.profile.highpass)
        model = a[f] * drawing.model_image(scene.xyz_A, scene.occupancy, R[f], s[f], scene.profile)
        expected = (np.square(y).sum() - np.square(y - model).sum()) / 2
        assert gain[f] == pytest.approx(expected, rel=0.01)


def test_neighbours_in_time_hold_weak_frames(pair):
    """Would catch a prior with the wrong weight: with three times the noise the walk must help, not harm."""
    from perrin.imaging.blobs import filter_frames

    weak = drawing.scene(frames=60, amplitude=1.0, step_deg=0.8, seed=12)
    filtered = filter_frames(weak.frames, drawing.PIXEL_A, weak.profile)
    start = (filtered, weak.xyz_A, weak.occupancy, pair, weak.rotation, weak.shift_A, np.full(60, 1.0))
    alone = polish(*start, iterations=12)[0]
    held = polish(*start, iterations=12, walk_deg=0.8, box_A=weak.box_A)[0]
    error = [np.sqrt(np.mean(np.square(angles_between(R, weak.rotation)))) for R in (alone, held)]
    assert error[1] < 0.75 * error[0]


def test_sums_without_the_matrix_are_the_same(scene, filtered, pair):
    """Would catch a step that is judged by another likelihood than the one it was taken from."""
    R, s = scene.rotation[3], scene.shift_A[3] + 0.1
    c, squared, g_c, g_n, _ = evaluated(filtered, scene, pair, 3, R, s)
    again = evaluated(filtered, scene, pair, 3, R, s, matrix=False)
    assert again[:2] == pytest.approx((c, squared), rel=1e-10)
    np.testing.assert_allclose(again[2], g_c, rtol=1e-10)
    np.testing.assert_allclose(again[3], g_n, rtol=1e-9, atol=1e-9)
