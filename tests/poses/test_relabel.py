"""The segment test: planted flips of the hand, lattice rotations and slips are undone exactly."""

import drawing
import numpy as np
import pytest

from perrin.imaging import lattice
from perrin.imaging.blobs import filter_frames
from perrin.imaging.grids import HALF_TURN
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between
from perrin.poses.relabel import segment_test

GROUP = lattice.rotation_group("fcc")
SLIPS = lattice.slip_vectors("fcc", 3.92)


def outcome(scene, filtered, pair, rotation, shift, **keywords):
    return segment_test(
        filtered, scene.xyz_A, scene.occupancy, pair, rotation, shift, np.full(len(rotation), 3.0), scene.box_A,
        GROUP, SLIPS, 2.5, **keywords,
    )  # fmt: skip


def test_right_poses_are_left_alone(scene, filtered, pair):
    """Would catch labels that wander where nothing is wrong."""
    R, s, changed, gain = outcome(scene, filtered, pair, scene.rotation, scene.shift_A)
    assert not changed.any() and gain == 0
    np.testing.assert_array_equal(s, scene.shift_A)


@pytest.mark.parametrize("stride", [1, 2])
def test_planted_errors_are_undone(scene, filtered, pair, stride):
    """Would catch an alternative missing from the list, a shift that does not turn along, a gain too small."""
    rotation, shift = scene.rotation.copy(), scene.shift_A.copy()
    rotation[20:44] = HALF_TURN @ rotation[20:44] @ GROUP[5]  # the other hand
    shift[60:80] += (rotation[60:80] @ SLIPS[4])[:, :2]  # a slip
    rotation[96:] = rotation[96:] @ GROUP[11]  # a rotation of the lattice, to the movie's end
    R, s, changed, gain = outcome(scene, filtered, pair, rotation, shift, stride=stride)
    wrong = np.zeros(120, bool)
    wrong[20:44] = wrong[60:80] = wrong[96:] = True
    np.testing.assert_array_equal(changed, wrong)
    assert angles_between(R, scene.rotation).max() < 1e-6
    np.testing.assert_allclose(s, scene.shift_A, atol=1e-9)
    assert gain > 3


def test_depth_tells_the_hand_of_a_body_that_equals_its_mirror_image():
    """Would catch a depth that does not reach the scores, or reaches them with the wrong sign.

    A ball of sites about a lattice point equals its inversion: without depth both hands explain the frames as well.
    """
    rng = np.random.default_rng(5)
    ball = lattice.sites("fcc", 3.92, 5.0)
    ones, frames = np.ones(len(ball)), 60
    rotation, shift = drawing.walk(frames, 2.5, rng), np.zeros((frames, 2))
    profile = Profile.gaussian(0.45, 0.2)
    images = [
        3 * drawing.model_image(ball, 1 + 0.03 * (ball @ R[2]), R, s, profile)
        for R, s in zip(rotation, shift, strict=True)
    ]
    images = (images + rng.standard_normal(np.shape(images))).astype(np.float32)
    filtered = filter_frames(images, drawing.PIXEL_A, profile)
    flipped = rotation.copy()
    flipped[30:] = HALF_TURN @ flipped[30:]
    for depth, expected in ((0.03, rotation), (-0.03, HALF_TURN @ rotation)):
        found, *_ = segment_test(
            filtered, ball, ones, overlap(profile, profile, drawing.PIXEL_A), flipped, shift, np.full(frames, 3.0),
            np.zeros((frames, 2)), np.eye(3)[None], np.zeros((1, 3)), 2.5, depth=depth, stride=1, angle_cap=0.0,
        )  # fmt: skip
        assert np.mean(angles_between(found, expected) < 1e-6) > 0.95
