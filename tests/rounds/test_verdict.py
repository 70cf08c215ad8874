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
    verdict, why = overall(solution_checks(solution(), COVERED))
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
    checks = {c["name"]: c for c in solution_checks(solution(**broken), COVERED)}
    assert checks[name]["verdict"] != "good"
    assert overall(list(checks.values()))[0] == max(
        (c["verdict"] for c in checks.values()), key=["good", "doubtful", "failed"].index
    )


def test_blind_views_are_not_called_good():
    """Would catch a coverage verdict that is dropped on the way."""
    blind = {"fourier_coverage": 0.3, "verdict": "doubtful"}
    assert overall(solution_checks(solution(), blind))[0] == "doubtful"


def test_share_between_jumps_is_that_of_the_planted_stretch():
    """Would catch stretches counted with their margins, or jumps that are overlooked."""
    assert stretch_share(solution(jump=(100, 130)).rotation, 2.0) == pytest.approx(30 / 300, abs=0.01)
    assert stretch_share(solution().rotation, 2.0) == 0


def test_unknown_values_fail():
    """Would catch NaN that passes every comparison."""
    assert check("x", np.nan, 1, 2, "x")["verdict"] == "failed"
    assert check("x", 0.5, 0.4, 0.1, "x", above=True)["verdict"] == "good"
    assert check("x", 0.2, 0.4, 0.1, "x", above=True)["verdict"] == "doubtful"
