"""The rotation a frame, from poses that a prior has smoothed."""

import numpy as np
import pytest
from scipy.linalg import solveh_banded

from perrin.imaging.rotations import rotvec_matrices
from perrin.rounds.refine import measured_step_deg


@pytest.mark.parametrize(
    ("start", "true", "noise"), [(0.5, 1.0, 0.6), (3.0, 1.0, 0.6), (1.5, 2.5, 0.4), (1.0, 2.5, 2.0)]
)
def test_smoothing_does_not_lower_the_step(start, true, noise):
    """Would catch a step that shrinks with every round: the smoothed path turns less than the particle.

    noise : of one frame, degrees an axis. Rotations this small about a common origin add up like vectors.
    """
    rng = np.random.default_rng(5)
    frames = 6000
    walk = np.cumsum(rng.normal(0, true / np.sqrt(3), (frames, 3)), 0)
    seen = walk + rng.normal(0, noise, walk.shape)
    step, information = start, 1 / noise**2
    for _ in range(60):
        precision = 3 / step**2
        band = np.zeros((2, frames))
        band[0, 1:] = -precision
        band[1] = information + 2 * precision
        band[1, [0, -1]] -= precision
        best = solveh_banded(band, information * seen)
        turned = rotvec_matrices(np.radians(np.diff(best, axis=0, prepend=best[:1])))
        path = np.empty((frames, 3, 3))
        path[0] = np.eye(3)
        for f in range(1, frames):
            path[f] = turned[f] @ path[f - 1]
        sigma = np.full(frames, np.radians(1 / np.sqrt(information + 2 * precision)))
        step = measured_step_deg(path, None, sigma, step)
    assert step == pytest.approx(true, rel=0.06)
    assert measured_step_deg(path) < 0.97 * true, "smoothed"
