"""One scene of a tumbling cluster with planted poses, for the tests that refine or repair them."""

import drawing
import pytest

from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import overlap


@pytest.fixture(scope="session")
def scene():
    return drawing.scene(frames=120, seed=11)


@pytest.fixture(scope="session")
def filtered(scene):
    return filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)


@pytest.fixture(scope="session")
def pair(scene):
    return overlap(scene.profile, scene.profile, drawing.PIXEL_A)
