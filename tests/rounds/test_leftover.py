"""The unexplained share: none for the whole model, the planted one for half of it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.imaging.profile import Profile
from perrin.imaging.rotations import quaternions
from perrin.rounds.injected import spots
from perrin.rounds.leftover import unexplained_share
from perrin.rounds.refine import Solution
from perrin.simulate.images import simulate_boxes

PIXEL, N = 0.358, 80


@pytest.fixture(scope="module")
def film():
    rng = np.random.default_rng(4)
    grid = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3) * 2.4
    xyz = grid[np.linalg.norm(grid, axis=1) < 6]
    rotation = Rotation.random(120, rng=rng).as_matrix()
    shift = rng.normal(0, 0.5, (120, 2))
    profile = Profile.gaussian(0.4, 0.2)
    images = simulate_boxes(xyz, quaternions(rotation), shift, N, PIXEL, 2.0, spots(profile), dose=None)
    images += rng.standard_normal(images.shape).astype(np.float32)
    return xyz, rotation, shift, profile, images


def model(film, rows):
    xyz, rotation, shift, profile, _ = film
    n, f = len(xyz[rows]), len(rotation)
    return Solution(
        rotation, shift, np.full(f, 2.0), np.zeros(f), np.zeros(f), xyz[rows], np.ones(n), profile, 2.0
    )


def test_a_complete_model_leaves_nothing(film):
    """Would catch a model that is drawn elsewhere, at another scale, or noise that is not taken off."""
    assert abs(unexplained_share(film[-1], PIXEL, model(film, slice(None)))) < 0.03


def test_what_is_missing_is_left(film):
    """Would catch a share that does not see atoms beyond the model's own."""
    xyz = film[0]
    missing = xyz[:, 0] > 2
    left = unexplained_share(film[-1], PIXEL, model(film, ~missing))
    assert left == pytest.approx(missing.mean(), abs=0.12)
    assert left > 0.1


def test_a_full_box_is_said(film):
    """Would catch noise measured where there is none."""
    xyz, rotation, shift, profile, images = film
    middle = slice(N // 2 - 14, N // 2 + 14)
    assert np.isnan(unexplained_share(images[:, middle, middle], PIXEL, model(film, slice(None))))
