"""Stretches of a path that went wrong: found, tracked anew, single frames lent their neighbours' poses."""

import numpy as np
import pytest

from perrin.imaging.rotations import angles_between, rotvec_matrices
from perrin.poses.lost import borrow, seek
from perrin.poses.polish import polish
from perrin.poses.stretches import bad_stretches, mend, with_low_runs


@pytest.fixture(scope="module")
def refined(scene, filtered, pair):
    """Poses as polishing leaves them: rotation, shift, amplitude, gain."""
    return polish(
        filtered,
        scene.xyz_A,
        scene.occupancy,
        pair,
        scene.rotation,
        scene.shift_A,
        scene.amplitude,
        iterations=8,
    )[:4]


def repaired(how, scene, filtered, pair, poses, **keywords):
    return how(filtered, scene.xyz_A, scene.occupancy, pair, *poses, scene.box_A, 2.5, **keywords)


def spoilt(poses, rows, turn, scene, filtered, pair):
    """The poses with some rows turned away and polished there, as a wrong path would have left them."""
    R, s, a, gain = (x.copy() for x in poses)
    start = rotvec_matrices(np.tile(turn, (len(rows), 1))) @ R[rows]
    R[rows], s[rows], a[rows], gain[rows], _ = polish(
        filtered, scene.xyz_A, scene.occupancy, pair, start, s[rows], a[rows], iterations=2, images=rows,
        amplitude_mean=3.0,
    )  # fmt: skip
    return R, s, a, gain


def test_jumps_bracket_a_stretch():
    """Would catch a stretch cut short of its margin, one at an end that is missed, and good paths suspected."""
    smooth = rotvec_matrices(np.radians(2.0) * np.arange(400)[:, None] * [[1, 0, 0]])
    assert bad_stretches(smooth, 2.0) == []
    wrong = smooth.copy()
    wrong[150:190] = wrong[150:190] @ rotvec_matrices(np.array([[0, 0.6, 0]]))
    assert bad_stretches(wrong, 2.0) == [(125, 215)]
    end = smooth.copy()
    end[380:] = end[380:] @ rotvec_matrices(np.array([[0, 0.6, 0]]))
    assert bad_stretches(end, 2.0) == [(355, 400)]
    halves = smooth.copy()
    halves[200:] = halves[200:] @ rotvec_matrices(np.array([[0, 0.6, 0]]))
    assert bad_stretches(halves, 2.0) == [(175, 225)]
    assert bad_stretches(wrong[100:200], 2.0) == [(25, 100)], "in a short movie the longest piece is the path"


def test_a_branch_left_without_a_jump_is_told_by_its_likelihood():
    """Would catch a stretch that ends at its jump's margin, and changes of focus taken for a wrong branch."""
    rng = np.random.default_rng(3)
    ratio = (1 + 0.2 * np.sin(np.arange(600) / 130)) * rng.normal(1, 0.08, 600)
    assert with_low_runs([], ratio) == []
    assert with_low_runs([(300, 350)], ratio) == [(300, 350)]
    ratio[240:316] *= 0.75  # left at 240 where two branches cross; the jump at 316 has brought (291, 341)
    ((first, stop),) = with_low_runs([(291, 341)], ratio)
    assert 222 <= first <= 245, "smoothing over 9 frames blurs the start"
    assert 341 <= stop <= 345
    assert with_low_runs([], ratio) == [], "weak frames without a jump may be right"
    ratio[450:470] *= 0.5
    ((first, stop),) = with_low_runs([], ratio)
    assert first <= 448
    assert 475 <= stop <= 490


def test_a_wrong_stretch_is_tracked_through(scene, filtered, pair, refined):
    """Would catch tracking that loses the box's motion, or that keeps the worse of two paths."""
    rows = np.arange(50, 62)
    poses = spoilt(refined, rows, [0.5, 0.3, 0.0], scene, filtered, pair)
    assert np.degrees(angles_between(poses[0][rows], scene.rotation[rows])).min() > 5
    R, s, a, gain, changed = repaired(mend, scene, filtered, pair, poses)
    assert changed == 1
    miss = np.degrees(angles_between(R, scene.rotation))
    assert np.quantile(miss, 0.98) < 4 and miss[rows].max() < 6
    assert np.abs(s - scene.shift_A)[rows].max() < 0.3
    assert gain[rows].sum() > poses[3][rows].sum() + 100


def test_half_a_path_on_another_branch_comes_back(scene, filtered, pair, refined):
    """Would catch a border between two long pieces that moves once and is left there."""
    rows = np.arange(60)
    poses = spoilt(refined, rows, [0.5, 0.3, 0.0], scene, filtered, pair)
    assert bad_stretches(poses[0], 2.5, longest=20)[-1] == (35, 85), "a lone jump, far from either end"
    R, s, a, gain, changed = repaired(mend, scene, filtered, pair, poses, longest=20, low_runs="none")
    assert changed >= 2
    assert np.quantile(np.degrees(angles_between(R, scene.rotation)), 0.98) < 4


def test_good_stretches_stay(scene, filtered, pair, refined):
    """Would catch mending that moves poses without a gain: two jumps that are real stay."""
    R, s, a, gain, changed = repaired(mend, scene, filtered, pair, refined)
    assert changed == 0
    np.testing.assert_array_equal(R, refined[0])


def test_single_frames_borrow_from_their_neighbours(scene, filtered, pair, refined):
    """Would catch donors whose shift is not carried over with the box, and frames that lend to no one."""
    rows = np.array([10, 11, 40, 77, 119])
    poses = spoilt(refined, rows, [0.35, -0.35, 0.2], scene, filtered, pair)
    R, s, a, gain, changed = repaired(borrow, scene, filtered, pair, poses)
    assert changed >= len(rows)
    assert np.degrees(angles_between(R[rows], scene.rotation[rows])).max() < 4
    assert np.abs(s - scene.shift_A)[rows].max() < 0.25
    others = np.delete(np.arange(120), rows)
    assert np.degrees(angles_between(R[others], scene.rotation[others])).max() < 6


def test_frames_that_lost_their_pose_are_found_around_their_neighbours(scene, filtered, pair, refined):
    """Would catch a search about the lost pose itself, one that stops at the first frame of a run, or one that takes
    frames away from where they are right."""
    lost = np.array([20, 21, 22, 60, 100])
    poses = spoilt(refined, lost, [0.2, -0.1, 0.1], scene, filtered, pair)
    away = lost[np.degrees(angles_between(poses[0][lost], scene.rotation[lost])) > 6]
    assert len(away) >= 4, "polishing alone brings them back: no test"
    R, s, a, gain, changed = repaired(seek, scene, filtered, pair, poses)
    assert changed >= len(away)
    assert np.degrees(angles_between(R[lost], scene.rotation[lost])).max() < 5
    assert gain.sum() > poses[3].sum()
    others = np.delete(np.arange(120), lost)
    assert np.degrees(angles_between(R[others], scene.rotation[others])).max() < 6
