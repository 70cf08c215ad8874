"""A model of atoms that is never drawn, against the same model drawn pixel by pixel."""

import drawing
import numpy as np
import pytest

from perrin.imaging import blobs, pairs
from perrin.imaging.profile import overlap


@pytest.fixture(scope="module")
def scene():
    return drawing.scene(frames=4, seed=5)


@pytest.fixture(scope="module")
def filtered(scene):
    return blobs.filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)


def test_filtered_frames_read_off_are_sums_over_pixels(scene, filtered):
    """Would catch a shifted origin, a swapped axis, a lost factor of the pixel's area or of the spline."""
    found = blobs.read(filtered, scene.xyz_A, scene.rotation, scene.shift_A)
    for f, image in enumerate(scene.frames):
        passed = drawing.high_pass(image.astype(float), scene.profile.highpass)
        places = scene.xyz_A @ scene.rotation[f, :2].T + scene.shift_A[f]
        single = [drawing.high_pass(drawing.spots(u[None], [1.0], scene.profile), 0.2) for u in places]
        expected = [(passed * one).sum() for one in single]
        np.testing.assert_allclose(found[f], expected, atol=2e-3 * np.abs(expected).max())


def test_nothing_is_read_outside_the_box(scene, filtered):
    """Would catch reads that wrap around, by which an atom beyond the box scores on the other side."""
    far = np.array([[40.0, 0, 0], [0, -40.0, 0]])
    identity = np.broadcast_to(np.eye(3), (len(filtered), 3, 3))
    assert not blobs.read(filtered, far, identity, np.zeros((len(filtered), 2))).any()


def test_gradients_are_those_of_the_values(filtered):
    """Would catch a derivative per pixel instead of per angstrom, and x and y exchanged."""
    image, centre, step, h = filtered.coefficient[0], filtered.centre, filtered.step_A, 1e-3
    for x, y in ((0.31, -1.72), (3.3, 2.2), (-4.05, 0.07)):
        value, gx, gy = blobs.read_gradient(image, centre, step, x, y)
        assert value == pytest.approx(blobs.read_value(image, centre, step, x, y), abs=1e-3)
        along_x = blobs.read_value(image, centre, step, x + h, y) - blobs.read_value(
            image, centre, step, x - h, y
        )
        along_y = blobs.read_value(image, centre, step, x, y + h) - blobs.read_value(
            image, centre, step, x, y - h
        )
        scale = np.hypot(gx, gy)
        assert gx == pytest.approx(along_x / (2 * h), abs=0.01 * scale)
        assert gy == pytest.approx(along_y / (2 * h), abs=0.01 * scale)


def test_norms_are_sums_of_squares(scene):
    """Would catch pairs counted once, or dropped where the atoms' images still overlap."""
    o = np.linspace(0.3, 1.2, len(scene.xyz_A))
    K = overlap(scene.profile, scene.profile, drawing.PIXEL_A)
    found = pairs.model_norms(scene.xyz_A, o, scene.rotation, K)
    expected = [
        np.square(drawing.model_image(scene.xyz_A, o, R, np.zeros(2), scene.profile)).sum()
        for R in scene.rotation
    ]
    np.testing.assert_allclose(found, expected, rtol=5e-3)


def test_high_passed_frames_are_those_of_the_plain_transform(scene):
    """Would catch a filter that treats rows and columns differently."""
    found = blobs.high_passed(scene.frames, drawing.PIXEL_A, 0.2)
    expected = [drawing.high_pass(image.astype(float), 0.2) for image in scene.frames]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("chunk", [1, 3])
def test_chunks_change_nothing(scene, filtered, chunk):
    """Would catch frames lost or mixed between chunks."""
    again = blobs.filter_frames(scene.frames, drawing.PIXEL_A, scene.profile, chunk=chunk)
    np.testing.assert_allclose(again.coefficient, filtered.coefficient, atol=1e-5)
