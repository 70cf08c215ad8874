"""Another particle beside the followed one."""

import numpy as np
from scipy import ndimage

from perrin.frames.beside import another, seen_beside
from perrin.frames.energy import BIN_PX
from perrin.frames.path import Path
from perrin.frames.verdicts import WAS_THERE, verdicts

RADIUS_PX = 16.0


def _scores(n, places, heights, seed=0):
    """Score maps (n, 60, 60) of blobs at places [(n, 2) px] on noise as smooth as an outline makes it."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(n, 60, 60)), (0, 3, 3))
    score = (noise / noise.std()).astype(np.float32)
    y, x = np.mgrid[:60, :60] * BIN_PX + 0.5
    for place, height in zip(places, heights):
        for frame in range(n):
            far = (x - place[frame, 0]) ** 2 + (y - place[frame, 1]) ** 2
            score[frame] += height * np.exp(-0.5 * far / (0.5 * RADIUS_PX) ** 2)
    return score


def test_another_particle_is_found_and_none_invented():
    """Catches a second path that clings to the first particle, and one that sees particles in noise."""
    n = 120
    own = np.full((n, 2), 40.0)
    other = np.stack([np.linspace(110, 75, n), np.full(n, 80.0)], 1)
    place, strength, _ = another(_scores(n, [own, other], [12, 5]), own, RADIUS_PX)
    assert seen_beside(strength).all()
    assert np.median(np.linalg.norm(place - other, axis=1)) < 3
    _, strength, _ = another(_scores(n, [own], [12]), own, RADIUS_PX)
    assert not seen_beside(strength).any()


def test_faint_frames_count_beside_plain_ones_only():
    """Catches a limit that drops the ends of a passage, or takes faint noise for one."""
    strength = np.array([1.0, 1.6, 3.0, 1.7, 1.0, 1.8, 1.9, 0.5])
    assert seen_beside(strength).tolist() == [False, True, True, True, False, False, False, False]


def test_a_place_that_was_taken_is_told_from_an_empty_one():
    """Catches a jump of the particle taken for one onto another, and the reverse."""
    n = 80
    path = np.full((n, 2), 30.0)
    path[40:] = 80.0
    jumped = another(_scores(n, [path], [8]), path, RADIUS_PX)[2]
    mistaken = another(_scores(n, [np.full((n, 2), 30.0), np.full((n, 2), 80.0)], [8, 6]), path, RADIUS_PX)[2]
    assert jumped.max() < WAS_THERE < mistaken[40:43].max()


def _path(place, other_score=0.0, other=(1000.0, 1000.0), before=0.0):
    n = len(place)
    one = np.ones(n)
    return Path(
        place, one, 10 * one, np.zeros(n, bool), np.tile(np.array(other, float), (n, 1)), other_score * one,
        before * one, block_first=[0], null_score=[1.0], extent_A=10.0, walk_px=0.6,
    )  # fmt: skip


def test_a_stay_on_another_particle_is_not_called_ok():
    """Catches the silent loss of a path that goes over to another particle and comes back."""
    place = np.full((200, 2), 100.0)
    place[80:120, 0] += np.linspace(30, 60, 40)
    path = _path(place, before=2.0)
    verdict = verdicts(path, path.score, (300, 300), 0.5)
    assert set(verdict[80:120]) == {"lost"}
    assert set(verdict[:70]) == set(verdict[130:]) == {"ok"}


def test_another_particle_crowds_where_it_overlaps():
    """Catches a passing particle called crowded from afar, or not when it touches; one's own end taken for another."""
    place = np.full((61, 2), 150.0)
    apart = np.abs(np.arange(61) - 30) * 2.0 + 10  # comes, passes at 10 px, goes; they touch within 36 px
    for nearest, expected in ((0.0, apart < 36), (60.0, apart < 0)):
        path = _path(place, other_score=5.0)
        path.other[:] = place + np.c_[apart + nearest, np.zeros(61)]
        found = verdicts(path, path.score, (300, 300), 0.5)
        assert np.array_equal(found == "crowded", expected)
        assert set(found[~expected]) == {"ok"}
    for strength, expected in (
        (2.8, "ok"),
        (6.0, "crowded"),
    ):  # always at the rim, and faint: its own far end
        path = _path(place, other_score=strength, other=(180.0, 150.0))
        assert set(verdicts(path, path.score, (300, 300), 0.5)) == {expected}
