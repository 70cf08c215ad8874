"""A path that went on in the other hand behind a two-fold axis is put right by the atoms of one side."""

import numpy as np
from scipy.spatial.transform import Rotation

from perrin.files.accepted import Frames
from perrin.imaging.grids import HALF_TURN
from perrin.imaging.lattice import rotation_group, sites
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import angles_between, quaternions
from perrin.rounds.crossings import in_one_hand, pieces
from perrin.rounds.refine import HIGHPASS, Solution
from perrin.simulate.images import PLAIN, simulate_boxes

PIXEL, A_A, BEFORE, AFTER = 0.358, 3.92, 200, 100
FRAMES = BEFORE + AFTER


def through_a_two_fold_axis():
    """Orientations whose view passes along [110] in frame BEFORE, and those of the mirrored body from there on."""
    rng = np.random.default_rng(3)
    along = Rotation.align_vectors([[0, 0, 1]], [[1, 1, 0]])[0]
    angle = np.radians(0.35) * (np.arange(FRAMES) - BEFORE)
    wobble = np.cumsum(rng.normal(0, np.radians(0.2), (FRAMES, 2)), 0)
    wobble -= wobble[BEFORE]
    turns = Rotation.from_rotvec(np.c_[angle + wobble[:, 0], 0.3 * wobble[:, 1], 0 * angle])
    true = (turns * along).as_matrix()
    back = true[BEFORE].T @ HALF_TURN @ true[BEFORE]
    group = rotation_group("fcc")
    same = group[np.argmax(np.einsum("ij,gij->g", back, group))]
    found = true.copy()
    found[BEFORE:] = HALF_TURN @ true[BEFORE:] @ same.T
    return true, found


def test_pieces_end_where_the_beam_is_along_a_two_fold_axis():
    """Would catch an angle that is halved or not, and pieces that join across a crossing."""
    true, _ = through_a_two_fold_axis()
    group = rotation_group("fcc")
    (first, stop), (again, end) = pieces(true, group)
    assert (first, end) == (0, FRAMES)
    view = true[:, 2] / np.linalg.norm(true[:, 2], axis=1)[:, None]
    away = np.degrees(np.arccos(np.clip(view @ np.array([1, 1, 0]) / np.sqrt(2), -1, 1)))
    assert away[first:stop].min() > 2.99 and away[again:end].min() > 2.99
    assert away[stop:again].max() < 3.01


def test_frames_behind_a_crossing_come_back():
    """Would catch a path that stays in two hands without a jump, and a right one that is changed."""
    rng = np.random.default_rng(7)
    xyz = sites("fcc", A_A, 7.2)
    xyz = xyz[(xyz @ [0.6, 0.64, 0.48] < 4.6) & (xyz @ [-0.8, 0.36, 0.48] < 5.0)]
    xyz = xyz + rng.normal(0, 0.05, xyz.shape)
    true, mixed = through_a_two_fold_axis()
    assert np.degrees(angles_between(mixed[1:], mixed[:-1])).max() < 3, "no jump tells"
    nothing, number = np.zeros((FRAMES, 2)), np.arange(FRAMES)
    images = simulate_boxes(xyz, quaternions(true), nothing, 64, PIXEL, 2.5, PLAIN, seed=5)
    data = Frames(images, number, number, nothing.astype(int), nothing, np.ones(FRAMES), PIXEL)
    amplitude, zero = np.full(FRAMES, 2.5), np.zeros(FRAMES)
    start = Solution(
        mixed, nothing, amplitude, zero, zero, xyz, np.ones(len(xyz)), Profile.gaussian(0.45, HIGHPASS), 0.6
    )
    found, history = in_one_hand(data, start, "fcc", A_A, 2)
    assert history
    assert np.degrees(angles_between(found.rotation, true)).max() < 3
    again, _ = in_one_hand(data, found, "fcc", A_A, 2)
    assert np.degrees(angles_between(again.rotation, true)).max() < 3
