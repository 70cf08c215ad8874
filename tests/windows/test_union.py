"""One list of sites from several windows."""

import numpy as np
from planted import particle
from scipy.spatial.transform import Rotation

from perrin.windows.union import dock, unite

TURN = Rotation.from_rotvec([0.02, -0.03, 0.01]).as_matrix()
MOVE = np.array([0.2, -0.1, 0.15])


def test_a_small_motion_of_the_body_frame_is_undone():
    """Would catch a transposed rotation or a wrong translation."""
    xyz = particle()
    R, t, reference, own = dock((xyz[5:] - MOVE) @ TURN, xyz, 1.0)
    np.testing.assert_allclose(R, TURN, atol=1e-9)
    np.testing.assert_allclose(t, MOVE, atol=1e-9)
    assert np.array_equal(reference, own + 5)


def test_windows_share_their_atoms_and_keep_their_own_places():
    """Would catch atoms counted twice, lost, or put into another window's frame."""
    xyz = particle()
    second = np.concatenate([xyz[6:], [[9.0, 0.0, 0.0]]])
    union = unite([xyz, (second - MOVE) @ TURN], [100, 50])
    assert union.atom.sum() == len(xyz) + 1 and union.joined.all()
    assert (union.member[0] >= 0).sum() == len(xyz) and (union.member[1] >= 0).sum() == len(second)
    for w, model in enumerate([xyz, (second - MOVE) @ TURN]):
        here = union.member[w] >= 0
        np.testing.assert_allclose(union.xyz_A[w, here], model[union.member[w, here]])
    gone = union.member[1, : len(xyz)] < 0
    assert gone.sum() == 6
    np.testing.assert_allclose(union.xyz_A[1, : len(xyz)][gone], (xyz[:6] - MOVE) @ TURN, atol=1e-6)
    assert (~union.atom).any()


def test_failed_and_foreign_windows_stay_out():
    """Would catch a crash on an empty model, or a model in another frame that doubles all atoms."""
    xyz = particle()
    far = xyz @ Rotation.from_rotvec([0.5, 0.4, 0.3]).as_matrix() + [1.3, 0, 0]
    union = unite([np.zeros((0, 3)), xyz, far], [500, 100, 80])
    assert list(union.joined) == [False, True, False] and union.atom.sum() == len(xyz)
    assert unite([np.zeros((0, 3))], [10]) is None
