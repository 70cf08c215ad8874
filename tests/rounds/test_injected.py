"""Known truth put in: which frames of a window its movie has."""

import drawing
import numpy as np
import pytest

from perrin.rounds.injected import injected_truth
from perrin.rounds.refine import Solution


@pytest.mark.parametrize(
    "step_deg, frames, expected", [(1.0, 90, (0, 3, 30)), (5.0, 90, (0, 1, 30)), (1.0, 20, (0, 1, 20))]
)
def test_a_slow_particle_is_filmed_over_its_whole_window(step_deg, frames, expected):
    """Would catch the first frames alone, which show a slow particle from fewer sides than the window does."""
    xyz = drawing.cluster()
    still = np.tile(np.eye(3), (frames, 1, 1))
    truth = Solution(
        still, np.zeros((frames, 2)), np.full(frames, 3.0), np.zeros(frames), np.full(frames, 0.01), xyz,
        np.ones(len(xyz)), drawing.scene(frames=1).profile, step_deg,
    )  # fmt: skip
    asked = []

    def again(images, rows, R, s, a):
        asked.extend(rows)
        assert len(images) == len(rows) == len(R) == len(s) == len(a)
        return truth

    found = injected_truth(truth, 48, drawing.PIXEL_A, again, seed=1, most_frames=30)
    first, stride, count = expected
    assert asked == list(range(first, first + stride * count, stride))
    assert found["recall"] == found["precision"] == 1 and found["frames"] == count
