"""Weights by certainty: the attenuation they promise, measured on a turned ball of atoms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.maps.weights import certainty


def test_weight_is_the_contrast_that_is_left(poses):
    """Catches a wrong factor in the mean displacement: small turns of points in a ball, averaged phases."""
    rng = np.random.default_rng(0)
    radius, detail = 9.0, 1.5
    points = rng.normal(size=(200000, 3))
    points *= (
        radius * rng.uniform(size=(200000, 1)) ** (1 / 3) / np.linalg.norm(points, axis=1, keepdims=True)
    )
    for sigma in (0.5, 1.0):
        turns = Rotation.from_rotvec(np.radians(sigma) * rng.normal(size=points.shape))
        moved = (turns.apply(points) - points)[:, 0]
        left = np.mean(np.cos(2 * np.pi * moved / detail))
        weight = certainty(replace(poses(3), sigma_deg=np.full(3, sigma)), radius, detail)
        assert weight == pytest.approx(left, abs=0.02)


def test_unknown_certainty_is_ordinary(poses):
    """Catches frames without a sigma that would vanish, or count more than all others."""
    views = replace(poses(5), sigma_deg=np.array([0.5, 1.0, 2.0, np.nan, np.nan]))
    weight = certainty(views, 10.0)
    assert weight[0] > weight[1] > weight[2] and weight[3] == weight[4] == weight[1]
    assert (certainty(replace(views, sigma_deg=np.full(5, np.nan)), 10.0) == 1).all()
