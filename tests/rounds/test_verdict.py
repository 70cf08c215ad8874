"""Verdicts: each signal must be able to fail a solution, and a good one must pass."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.imaging.profile import Profile
from perrin.rounds.refine import Solution
from perrin.rounds.verdict import check, overall, solution_checks, stretch_share


def solution(frames=300, atoms=40, occupancy_sd=0.04, jump=None, gain=120.0):
    rng = np.random.default_rng(3)
    steps = Rotation.from_rotvec(np.radians(2.0) / np.sqrt(3) * rng.standard_normal((frames, 3)))
    rotation = [np.eye(3)]
    for step in steps[1:]:
        rotation.append(step.as_matrix() @ rotation[-1])
    rotation = np.array(rotation)
    if jump is not None:
        first, stop = jump
        rotation[first:stop] = Rotation.from_rotvec([0, 0, 1.0]).as_matrix() @ rotation[first:stop]
    occupancy = np.clip(1 + occupancy_sd * rng.standard_normal(atoms), 0.02, 2)
    return Solution(
        rotation, np.zeros((frames, 2)), np.ones(frames), np.full(frames, gain), np.full(frames, 0.01),
        rng.normal(0, 5, (atoms, 3)), occupancy, Profile.gaussian(0.45, 0.2), 2.0,
    )  # fmt: skip


COVERED = {"fourier_coverage": 0.6, "verdict": "good"}


def test_a_good_solution_passes():
    """Would catch limits that reject what is right."""
    verdict, why = overall(solution_checks(solution(), 0.358, COVERED))
    assert verdict == "good" and "occupancies" in why


@pytest.mark.parametrize(
    "broken, name",
    [
        ({"occupancy_sd": 0.4}, "occupancy_sd"),
        ({"gain": 3.0}, "gain"),
        ({"atoms": 5}, "atoms"),
        ({"jump": (90, 140)}, "jumps"),
    ],
)
def test_each_signal_is_heard(broken, name):
    """Would catch a check whose verdict cannot change."""
    checks = {c["name"]: c for c in solution_checks(solution(**broken), 0.358, COVERED)}
    assert checks[name]["verdict"] != "good"
    assert overall(list(checks.values()))[0] == max(
        (c["verdict"] for c in checks.values()), key=["good", "doubtful", "failed"].index
    )


def test_blind_views_are_not_called_good():
    """Would catch a coverage verdict that is dropped on the way."""
    blind = {"fourier_coverage": 0.3, "verdict": "doubtful"}
    assert overall(solution_checks(solution(), 0.358, blind))[0] == "doubtful"


def turned(first, stop, angle_deg):
    """A path whose frames first:stop are turned by an angle."""
    path = solution().rotation.copy()
    path[first:stop] = Rotation.from_rotvec([0, 0, np.radians(angle_deg)]).as_matrix() @ path[first:stop]
    return path


def test_frames_on_another_branch_are_counted():
    """Would catch a branch that is overlooked because no second jump ends it, or one that is not found again."""
    assert stretch_share(turned(0, 0, 0), 2.0) == 0
    assert stretch_share(turned(100, 130, 60), 2.0) == pytest.approx(30 / 300)
    assert stretch_share(turned(0, 120, 60), 2.0) == pytest.approx(120 / 300)
    assert stretch_share(turned(280, 300, 110), 2.0) == pytest.approx(20 / 300)
    assert stretch_share(turned(60, 260, 60), 2.0) == pytest.approx(100 / 300), (
        "too long to find the way back"
    )


def test_small_jumps_count_where_the_piece_between_them_explains_less():
    """Would catch a good path called bad for its weak frames, or a lost stretch called good for its small jumps."""
    path = turned(100, 180, 14)
    ratio = np.full(300, 0.98)
    assert stretch_share(path, 2.0, ratio=ratio) == 0
    ratio[100:180] = 0.8
    assert stretch_share(path, 2.0, ratio=ratio) == pytest.approx(80 / 300)


def test_what_happened_in_a_gap_is_no_jump():
    """Would catch rotation during rejected frames taken for a change of branch."""
    gap = np.ones(300)
    gap[150] = 40
    assert stretch_share(turned(150, 300, 35), 2.0) == pytest.approx(0.5)
    assert stretch_share(turned(150, 300, 35), 2.0, gap) == 0


def test_unknown_values_fail():
    """Would catch NaN that passes every comparison."""
    assert check("x", np.nan, 1, 2, "x")["verdict"] == "failed"
    assert check("x", 0.5, 0.4, 0.1, "x", above=True)["verdict"] == "good"
    assert check("x", 0.2, 0.4, 0.1, "x", above=True)["verdict"] == "doubtful"
