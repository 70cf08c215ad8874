"""Verdicts: each signal must be able to fail a solution, and a good one must pass."""

from functools import partial

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.imaging.lattice import misorientations
from perrin.imaging.profile import Profile
from perrin.rounds.refine import Solution
from perrin.rounds.verdict import check, off_main_branch, overall, solution_checks, unexplained_check


def solution(frames=300, atoms=40, occupancy_sd=0.04, jump=None, gain=120.0):
    rng = np.random.default_rng(3)
    steps = Rotation.from_rotvec(np.radians(2.0) / np.sqrt(3) * rng.standard_normal((frames, 3)))
    rotation = [np.eye(3)]
    for step in steps[1:]:
        rotation.append(step.as_matrix() @ rotation[-1])
    rotation = np.array(rotation)
    if jump is not None:
        first, stop = jump
        rotation[first:stop] = rotation[first:stop] @ Rotation.from_rotvec([np.pi / 2, 0, 0]).as_matrix()
    occupancy = np.clip(1 + occupancy_sd * rng.standard_normal(atoms), 0.02, 2)
    return Solution(
        rotation, np.zeros((frames, 2)), np.ones(frames), np.full(frames, gain), np.full(frames, 0.01),
        rng.normal(0, 5, (atoms, 3)), occupancy, Profile.gaussian(0.45, 0.2), 2.0,
    )  # fmt: skip


FCC = partial(misorientations, "fcc")
COVERED = {"fourier_coverage": 0.6, "verdict": "good"}


def test_a_good_solution_passes():
    """Would catch limits that reject what is right."""
    verdict, why = overall(solution_checks(solution(), 0.358, "fcc", COVERED))
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
    checks = {c["name"]: c for c in solution_checks(solution(**broken), 0.358, "fcc", COVERED)}
    assert checks[name]["verdict"] != "good"
    assert overall(list(checks.values()))[0] == max(
        (c["verdict"] for c in checks.values()), key=["good", "doubtful", "failed"].index
    )


def test_blind_views_are_not_called_good():
    """Would catch a coverage verdict that is dropped on the way."""
    blind = {"fourier_coverage": 0.3, "verdict": "doubtful"}
    assert overall(solution_checks(solution(), 0.358, "fcc", blind))[0] == "doubtful"


def off_share(*args, **options):
    return off_main_branch(*args, **options).mean()


def turned(first, stop, angle_deg):
    """A path whose frames first:stop are turned by an angle."""
    path = solution().rotation.copy()
    path[first:stop] = Rotation.from_rotvec([0, 0, np.radians(angle_deg)]).as_matrix() @ path[first:stop]
    return path


def test_frames_on_another_branch_are_counted():
    """Would catch a branch that is overlooked because no second jump ends it, or one that is not found again."""
    assert off_share(turned(0, 0, 0), 2.0) == 0
    assert off_share(turned(100, 130, 60), 2.0) == pytest.approx(30 / 300)
    assert off_share(turned(0, 120, 60), 2.0) == pytest.approx(120 / 300)
    assert off_share(turned(280, 300, 110), 2.0) == pytest.approx(20 / 300)
    assert off_share(turned(60, 260, 60), 2.0) == pytest.approx(100 / 300), "too long to find the way back"


def test_small_jumps_count_where_the_piece_between_them_explains_less():
    """Would catch a good path called bad for its weak frames, or a lost stretch called good for its small jumps."""
    path = turned(100, 180, 14)
    ratio = np.full(300, 0.98)
    assert off_share(path, 2.0, ratio=ratio) == 0
    ratio[100:180] = 0.8
    assert off_share(path, 2.0, ratio=ratio) == pytest.approx(80 / 300)


def test_what_happened_in_a_gap_is_no_jump():
    """Would catch rotation during rejected frames taken for a change of branch."""
    gap = np.ones(300)
    gap[150] = 40
    assert off_share(turned(150, 300, 35), 2.0) == pytest.approx(0.5)
    assert off_share(turned(150, 300, 35), 2.0, gap) == 0


def knocked(first, stop, rotvec_deg):
    """A path whose frames first:stop are turned about an axis of the body."""
    path = solution().rotation.copy()
    path[first:stop] = path[first:stop] @ Rotation.from_rotvec(np.radians(rotvec_deg)).as_matrix()
    return path


def test_a_particle_that_was_knocked_is_on_its_branch():
    """Would catch a right path called failed because the particle itself turned at once, twice in a movie."""
    path = knocked(100, 300, [20, 35, -12])
    path[210:] = path[210:] @ Rotation.from_rotvec(np.radians([-33, 22, 5])).as_matrix()
    ratio = np.full(300, 0.97)
    options = {"ratio": ratio, "mistaken": FCC}
    assert off_share(path, 2.0, ratio=ratio) > 0.3, "as long as nothing is known of the lattice"
    assert off_share(path, 2.0, **options) == 0


@pytest.mark.parametrize(
    "rotvec_deg", [[90, 0, 0], [0, 180, 0], [69.28] * 3, [34.64, 34.64, -34.64]], ids=["4", "2", "3", "twin"]
)
def test_what_the_lattice_may_be_mistaken_for_is_no_knock(rotvec_deg):
    """Would catch a wrong branch, of the lattice or of its twin, excused as a turn of the particle."""
    options = {"ratio": np.full(300, 0.97), "mistaken": FCC}
    assert off_share(knocked(180, 300, rotvec_deg), 2.0, **options) == pytest.approx(120 / 300)


def test_the_other_hand_is_no_knock():
    """Would catch a path that goes over to the other hand: what it shows is half a turn about the beam away."""
    path = solution().rotation.copy()
    path[180:] = np.diag([-1.0, -1.0, 1.0]) @ path[180:]
    assert off_share(path, 2.0, mistaken=FCC) == pytest.approx(120 / 300)


def test_a_knock_does_not_excuse_what_explains_less():
    """Would catch a lost path, or another domain, whose jump is no rotation of the lattice."""
    path = knocked(180, 300, [20, 35, -12])
    options = {"mistaken": FCC}
    left = np.where(np.arange(300) < 180, 0.02, 0.2)
    assert off_share(path, 2.0, left=lambda rows: left[rows].mean(), **options) == pytest.approx(120 / 300)
    assert off_share(path, 2.0, left=lambda rows: left[0], **options) == 0
    assert off_share(path, 2.0, left=lambda rows: np.nan, **options) > 0, "nobody knows"


def test_unknown_values_fail():
    """Would catch NaN that passes every comparison."""
    assert check("x", np.nan, 1, 2, "x")["verdict"] == "failed"
    assert check("x", 0.5, 0.4, 0.1, "x", above=True)["verdict"] == "good"
    assert check("x", 0.2, 0.4, 0.1, "x", above=True)["verdict"] == "doubtful"


@pytest.mark.parametrize(
    ("left", "expected"), [(0.01, "good"), (0.1, "doubtful"), (0.6, "failed"), (np.nan, "doubtful")]
)
def test_atoms_that_fill_the_box_are_doubtful(left, expected):
    """Would catch a model that overgrew its box and, with no place left to measure the noise in, passes unasked."""
    verdict, why = overall([unexplained_check(left, 0.06, 0.4)])
    assert verdict == expected and "unexplained" in why
