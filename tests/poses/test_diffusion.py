"""Rotational diffusion: planted random walks with and without errors of the poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.records import Poses
from perrin.imaging.rotations import quaternions
from perrin.poses.diffusion import rotational_diffusion

TIME = 1 / 400


def walk(frames, step_deg, noise_deg=0.0, seed=0):
    rng = np.random.default_rng(seed)
    steps = Rotation.from_rotvec(np.radians(step_deg) / np.sqrt(3) * rng.normal(size=(frames, 3)))
    now, path = Rotation.random(rng=rng), []
    for step in steps:
        now = step * now
        path.append(now.as_matrix())
    noise = Rotation.from_rotvec(np.radians(noise_deg) * rng.normal(size=(frames, 3)))
    found = quaternions((noise * Rotation.from_matrix(np.array(path))).as_matrix())
    return Poses(np.arange(frames), found, np.zeros((frames, 2)), np.ones(frames), np.ones(frames))


@pytest.mark.parametrize("noise_deg", [0.0, 1.0])
def test_planted_walks_come_back_within_their_errors(noise_deg):
    """Catches a factor 2 or 3 in 6 D t, pose noise counted as motion, and error bars that are too short."""
    pulls = []
    for seed in range(12):
        found = rotational_diffusion(walk(1500, 2.5, noise_deg, seed), TIME)
        true = np.radians(2.5) ** 2 / (6 * TIME)
        pulls.append((found["D_rad2_per_s"] - true) / found["D_error_rad2_per_s"])
    assert abs(np.mean(pulls)) < 3 / np.sqrt(12)
    assert 0.5 < np.std(pulls) < 1.7


def test_pose_noise_is_told_apart():
    """Catches the bias that a single lag has: 1 degree of noise an axis makes 2.5 degrees look like 3.5."""
    found = rotational_diffusion(walk(6000, 2.5, 1.0, 3), TIME)
    assert found["step_deg"] == pytest.approx(2.5, abs=4 * found["step_error_deg"])
    assert found["pose_noise_deg"] == pytest.approx(1.0, abs=0.15)
    assert found["raw_step_deg"] > 3.3


def test_gaps_are_times_not_steps():
    """Catches a row taken for a frame: with every third frame missing the constant is the same."""
    full = walk(6000, 2.0, seed=4)
    kept = full.take(np.arange(6000) % 3 != 1)
    a, b = (rotational_diffusion(p, TIME) for p in (full, kept))
    assert b["D_rad2_per_s"] == pytest.approx(a["D_rad2_per_s"], abs=3 * b["D_error_rad2_per_s"])


def test_a_jump_is_counted_not_averaged():
    """Catches one slip of 90 degrees that would multiply the constant of a short window."""
    path = walk(400, 2.0, seed=5)
    turned = (
        Rotation.from_rotvec([np.pi / 2, 0, 0]) * Rotation.from_quat(path.quaternion, scalar_first=True)
    ).as_quat(scalar_first=True)
    quaternion = np.where((np.arange(400) >= 200)[:, None], turned, path.quaternion)
    jumped = Poses(path.frame, quaternion, path.shift_A, path.amplitude, path.sigma_deg)
    a, b = (rotational_diffusion(p, TIME) for p in (path, jumped))
    assert (a["jumps"], b["jumps"]) == (0, 1)
    assert b["D_rad2_per_s"] == pytest.approx(a["D_rad2_per_s"], rel=0.1)


def test_unrelated_views_give_no_number():
    """Catches a finite constant for frames that do not follow each other."""
    rng = np.random.default_rng(6)
    poses = Poses(
        np.arange(100),
        quaternions(Rotation.random(100, rng).as_matrix()),
        np.zeros((100, 2)),
        np.ones(100),
        np.ones(100),
    )
    assert np.isnan(rotational_diffusion(poses, TIME)["D_rad2_per_s"])
