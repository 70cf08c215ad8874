"""Candidates of a frame by itself: the planted pose is found from nothing, and the drawn density is the model."""

import drawing
import numpy as np
import pytest

from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between
from perrin.imaging.slices import project
from perrin.poses.candidates import distinct, drawn_density, refined, searched

RINGED = Profile(np.array([0.42, 0.6]), np.array([1.6, -0.9]), 0.2)


@pytest.mark.parametrize("profile", [Profile.gaussian(0.45, 0.2), RINGED], ids=["plain", "ringed"])
def test_projections_of_the_drawn_density_are_the_models_images(profile):
    """Would catch axes in the wrong order, a wrong scale, and a high-pass that frames do not have."""
    xyz = drawing.cluster()
    o = np.linspace(0.6, 1.1, len(xyz))
    R, shift = drawing.walk(3, 60, np.random.default_rng(1)), np.array([[0.3, -0.2], [0, 0], [-0.4, 0.5]])
    density = drawn_density(xyz, o, profile, drawing.SIDE, drawing.PIXEL_A)
    found = project(density.data, R, shift, drawing.PIXEL_A)
    for image, r, s in zip(found, R, shift):
        expected = drawing.spots(xyz @ r[:2].T + s, o, profile)
        assert np.abs(image - expected).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("amplitude", [None, 3.0], ids=["correlation", "likelihood"])
def test_the_planted_pose_comes_first(amplitude):
    """Would catch a search that misses orientations or shifts, and candidates of another frame."""
    scene = drawing.scene(frames=8, step_deg=60, noise=1.0, amplitude=3.0, seed=4)
    model = scene.xyz_A, scene.occupancy, overlap(scene.profile, scene.profile, drawing.PIXEL_A)
    density = drawn_density(*model[:2], scene.profile, drawing.SIDE, drawing.PIXEL_A)
    centre = scene.shift_A + np.random.default_rng(2).uniform(-0.6, 0.6, scene.shift_A.shape)
    found = searched(scene.frames, centre, density, 6.5, 1.2, amplitude)
    filtered = filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)
    frame, R, s, a, gain = refined(filtered, model, found, 3.0, keep=5)
    first = np.unique(frame, return_index=True)[1]
    assert len(first) == 8 and np.bincount(frame).max() <= 5
    assert np.degrees(angles_between(R[first], scene.rotation)).max() < 3
    assert np.abs(s[first] - scene.shift_A).max() < 0.2
    assert all(np.all(np.diff(gain[frame == f]) <= 0) for f in range(8))


def test_distinct_candidates_are_the_best_of_their_kind():
    """Would catch copies of one pose that crowd out the others, or a frame's list cut by another's."""
    rotation = np.concatenate([drawing.walk(1, 1, np.random.default_rng(i)) for i in (1, 1, 1, 2, 3)])
    shift = np.array([[0, 0], [0.1, 0], [2.0, 0], [0, 0], [0, 0]])
    rows, gain = np.array([0, 0, 0, 0, 1]), np.array([5.0, 6.0, 1.0, 2.0, 0.5])
    np.testing.assert_array_equal(distinct(rows, rotation, shift, gain, 5), [1, 3, 2, 4])
    np.testing.assert_array_equal(distinct(rows, rotation, shift, gain, 2), [1, 3, 4])
