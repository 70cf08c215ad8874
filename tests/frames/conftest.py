"""A tumbling fcc ball with known truth, and the test movies."""

from pathlib import Path

import pytest
from tumbling import tumbling_frames

SHARED = Path(__file__).resolve().parents[2] / "../shared"


@pytest.fixture(scope="session")
def ball():
    """240 frames of a ball of 7 A in boxes of 64 px."""
    return tumbling_frames(240, jitter_px=0.5)


@pytest.fixture
def shared():
    """The folder of the test movies; skipped where it is not there."""
    if not (SHARED / "data" / "pt314" / "movie.mrc").exists():
        pytest.skip("the test movies of ../shared are not here")
    return SHARED
