"""Coverage of views: closed forms on the sphere, and the two verdicts that matter."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.records import Poses
from perrin.imaging.rotations import quaternions
from perrin.poses.coverage import beam_directions, coverage, fourier_sampling, share_within


def poses_of(rotations):
    n = len(rotations)
    return Poses(np.arange(n), quaternions(rotations.as_matrix()), np.zeros((n, 2)), np.ones(n), np.ones(n))


def test_one_view_sees_a_cap():
    """Catches a chord taken for an angle: a cap of 5 degrees is (1 - cos 5) / 2 of the sphere."""
    share = share_within(np.array([[0.0, 0, 1]]), 5, points=200000)
    assert share == pytest.approx((1 - np.cos(np.radians(5))) / 2, rel=0.03)


def test_beam_direction_is_the_body_axis_that_points_along_z():
    """Catches R in place of its transpose."""
    rotation = Rotation.from_rotvec([[0.3, -0.8, 0.2]])
    direction = beam_directions(poses_of(rotation))
    np.testing.assert_allclose(rotation.apply(direction), [[0, 0, 1]], atol=1e-12)


def test_one_frame_measures_a_belt():
    """Catches a wrong thickness of slices: the belt |q.d| <= resolution / (2 diameter) is that share of a shell."""
    _, count = fourier_sampling(np.array([[0.0, 0.6, 0.8]]), 10.0, 2.0, points=20000)
    assert count.mean() == pytest.approx(0.1, rel=0.02)


def test_even_views_are_good_and_nowhere_blind():
    """Catches a verdict that even views cannot pass."""
    found = coverage(poses_of(Rotation.random(600, np.random.default_rng(0))))
    assert found["verdict"] == "good"
    assert found["fourier_coverage"] > 0.99 and found["scf"] > 0.8
    assert found["blind_axis_information"] > 0.9


def test_rocking_about_one_view_fails_and_names_the_blind_axis():
    """Catches a blind axis in the wrong frame: views within 3 degrees of one body direction are blind along it."""
    rng = np.random.default_rng(1)
    body = np.array([0.48, 0.6, 0.64])
    turn, _ = Rotation.align_vectors([[0, 0, 1]], [body])
    rocking = Rotation.from_rotvec(rng.normal(0, np.radians(1.5), (800, 3)) * [1, 1, 40])
    found = coverage(poses_of(rocking * turn))
    assert found["verdict"] == "failed"
    assert abs(np.dot(found["blind_axis"], body)) > 0.999
    assert "too few directions" in found["why"]


def test_folding_by_the_cube_never_shows_less():
    """Catches a folding that loses the views themselves; one view has at most 48 images."""
    found = coverage(poses_of(Rotation.from_rotvec([[0.4, 0.2, -0.9]] * 3)), "O")
    assert found["directions_seen_folded"] == pytest.approx(24 * found["directions_seen"], rel=0.2)
    assert "after folding" in found["why"]


def test_no_frames_is_a_failure_in_words():
    """Catches a division by zero for an empty window."""
    assert coverage(poses_of(Rotation.random(2)).take(slice(0, 0)))["verdict"] == "failed"
