"""Rounds of refinement: how many there are."""

import drawing
import numpy as np
from scipy.spatial.transform import Rotation

from perrin.rounds.refine import MOST_ROUNDS, RISING, Solution, refine


def refined(xyz_A, scene, rounds):
    """History of a refinement from true poses and given atoms."""
    f = len(scene.frames)
    start = Solution(
        scene.rotation, scene.shift_A, scene.amplitude, np.zeros(f), np.full(f, 0.01), xyz_A,
        np.ones(len(xyz_A)), scene.profile, 1.5,
    )  # fmt: skip
    return refine(scene.frames, drawing.PIXEL_A, start, scene.box_A, rounds=rounds, grow=False)[1]


def narrow_scene():
    """A hundred frames within a few degrees of one direction."""
    rng = np.random.default_rng(9)
    walk = np.cumsum(np.radians(1.5) * rng.normal(size=(100, 3)) / np.sqrt(3), axis=0)
    return drawing.scene(frames=100, amplitude=5.0, rotation=Rotation.from_rotvec(walk).as_matrix(), seed=9)


def test_goes_on_until_the_likelihood_rests():
    """Would catch a refinement that ends on its way: atoms displaced along the line of sight need more than a round."""
    scene = narrow_scene()
    xyz = scene.xyz_A + 0.7 * np.random.default_rng(3).normal(size=scene.xyz_A.shape) * [0.1, 0.1, 1]
    gain = [one["gain"] for one in refined(xyz, scene, 1)]
    assert 2 < len(gain) <= MOST_ROUNDS
    rise = np.diff(gain) / gain[1:]
    assert (rise[:-1] > RISING).all()
    assert len(gain) == MOST_ROUNDS or rise[-1] <= RISING


def test_ends_where_it_began():
    """Would catch rounds that are counted and not needed: true atoms are at rest at once."""
    scene = narrow_scene()
    assert len(refined(scene.xyz_A, scene, 2)) <= 3
