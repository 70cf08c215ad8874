"""Agreement of frames with reprojections: perfect frames, pure noise, and the factor with its error."""

from dataclasses import replace

import numpy as np
import pytest

from perrin.files.records import Map
from perrin.maps.correlation import frame_amplitudes, frame_correlations


def test_perfect_frames_correlate_perfectly(particle, poses):
    """Catches a reprojection shifted or turned the wrong way: shifts up to several pixels."""
    views = poses(20)
    views = replace(views, shift_A=views.shift_A * 2)
    density = Map(particle.map(40), particle.pixel_A)
    for polar in (True, False):
        found = frame_correlations(particle.images(40, views), density, views, (3.0, 1.2), polar=polar)
        assert found.min() > 0.995
    turned = replace(views, quaternion=views.quaternion * [1, -1, -1, -1])
    assert np.abs(frame_correlations(particle.images(40, views), density, turned, (3.0, 1.2))).mean() < 0.6


def test_noise_does_not_correlate(particle, poses):
    """Catches a correlation that is not centred at zero."""
    rng, views = np.random.default_rng(0), poses(300)
    density = Map(particle.map(32), particle.pixel_A)
    found = frame_correlations(rng.normal(size=(300, 32, 32)), density, views)
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(300)


def test_the_factor_and_its_error(particle, poses):
    """Catches a factor that depends on the view, and errors that do not describe its scatter."""
    rng, views = np.random.default_rng(1), poses(400)
    density = Map(particle.map(36), particle.pixel_A)
    images = 0.7 * particle.images(36, views) + rng.normal(0, 0.5, (400, 36, 36)).astype(np.float32)
    factor, error = frame_amplitudes(images, density, views, (3.0, 1.0), mask_radius_A=20.0)
    pull = (factor - 0.7) / error
    assert abs(pull.mean()) < 0.2
    assert pull.std() == pytest.approx(1, abs=0.12)
