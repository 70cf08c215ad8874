"""One scene of a tumbling cluster whose atoms are off their lattice sites, for the tests of refinement."""

import drawing
import pytest

from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import overlap


@pytest.fixture(scope="session")
def scene():
    return drawing.scene(frames=60, step_deg=9.0, xyz_A=drawing.cluster(rattle_A=0.08), seed=21)


@pytest.fixture(scope="session")
def filtered(scene):
    return filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)


@pytest.fixture(scope="session")
def pair(scene):
    return overlap(scene.profile, scene.profile, drawing.PIXEL_A)


@pytest.fixture(scope="session")
def poses(scene):
    return scene.rotation, scene.shift_A, scene.amplitude
