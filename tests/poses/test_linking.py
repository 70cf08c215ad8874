"""The best path through candidates: brute force over all paths, and the lift to the nearest of equal images."""

from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from perrin.imaging.lattice import rotation_group
from perrin.imaging.rotations import angles_between
from perrin.imaging.symmetry import Motions, same_images
from perrin.poses.linking import ANGLE_CAP, PLACE_CAP, lifted, linked


def test_the_path_is_the_best_of_all():
    """Would catch a wrong backtrack, gains left out, caps, gaps or moves that are not charged."""
    rng = np.random.default_rng(1)
    counts = [3, 2, 4, 1, 3]
    frame = np.repeat(np.arange(5), counts)
    near = Rotation.from_rotvec(rng.normal(0, 0.03, (len(frame), 3))) * Rotation.random(rng=rng)
    rotation = near.as_matrix()
    rotation[::4] = Rotation.random(len(rotation[::4]), rng=rng).as_matrix()
    place, gain = rng.normal(0, 0.4, (len(frame), 2)), rng.normal(20, 6, len(frame))
    gap = np.array([1, 1, 3, 1, 2.0])
    found = linked(frame, rotation, place, gain, gap, 3.0, None)
    first = np.r_[0, np.cumsum(counts)[:-1]]

    def value(path):
        total = gain[path].sum()
        for t in range(1, 5):
            a, b = path[t - 1], path[t]
            angle = angles_between(rotation[a], rotation[b])
            total -= min(angle**2 * 3 / (2 * np.radians(4.5) ** 2) / gap[t], ANGLE_CAP)
            total -= min(np.square(place[a] - place[b]).sum() / (2 * 0.3**2) / gap[t], PLACE_CAP)
        return total

    best = max((np.array(p) + first for p in product(*map(range, counts))), key=value)
    np.testing.assert_array_equal(found, best)


def test_equivalents_cost_nothing_and_are_lifted():
    """Would catch a path that breaks where a frame's list holds another pose of the same image."""
    rng = np.random.default_rng(2)
    group = rotation_group("fcc")
    own = Motions(np.concatenate([group, group]), rng.normal(0, 0.2, (48, 3)), np.ones(48), 24)
    steps = Rotation.from_rotvec(np.radians(2) * rng.normal(size=(30, 3)) / np.sqrt(3))
    now, true = Rotation.random(rng=rng), []
    for step in steps:
        now = step * now
        true.append(now.as_matrix())
    true = np.array(true)
    every = same_images(true, own)
    given = every[np.arange(30), rng.integers(0, every.shape[1], 30)]
    path = linked(np.arange(30), given, np.zeros((30, 2)), np.zeros(30), np.ones(30), 2.0, own)
    np.testing.assert_array_equal(path, np.arange(30))
    smooth, shift = lifted(given, np.zeros((30, 2)), own)
    assert np.degrees(angles_between(smooth[1:], smooth[:-1])).max() < 8
    which = np.argmin(angles_between(same_images(given, own), smooth[:, None]), axis=1)
    expected = np.einsum("fij,fj->fi", given[:, :2], own.offset_A[which])
    np.testing.assert_allclose(shift[1:], expected[1:], atol=1e-9)
    # an unlisted frame in between: two candidates, of which the wrong one explains a little more
    frame = np.r_[np.arange(15), 15, np.arange(15, 30)]
    rotation = np.concatenate([given[:15], Rotation.random(1, rng=rng).as_matrix(), given[15:]])
    gain = np.zeros(31)
    gain[15] = 5.0
    path = linked(frame, rotation, np.zeros((31, 2)), gain, np.ones(30), 2.0, own)
    assert 15 not in path
