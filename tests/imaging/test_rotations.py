"""Rotations: explicit formulas as oracle."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.imaging import rotations

RANDOM = Rotation.random(50, rng=np.random.default_rng(0)).as_matrix()


def test_quaternions_by_their_formula():
    """Would catch a scalar-last order: the matrix of a quaternion from its textbook formula."""
    w, x, y, z = 0.1, 0.5, -0.7, np.sqrt(1 - 0.01 - 0.25 - 0.49)
    expected = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    np.testing.assert_allclose(rotations.matrices([[w, x, y, z]])[0], expected, atol=1e-12)
    back = rotations.quaternions(RANDOM)
    assert (back[:, 0] >= 0).all()
    np.testing.assert_allclose(rotations.matrices(back), RANDOM, atol=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1e-7, 1e-3, 1.0, 3.0, np.pi])
def test_angles_from_nothing_to_a_half_turn(angle):
    """Would catch arccos of the trace, which is blind below 1e-4."""
    turn = rotations.rotvec_matrices(angle * np.array([[0.36, 0.48, 0.8]]))[0]
    assert rotations.angles_between(turn @ RANDOM, RANDOM) == pytest.approx(angle, rel=1e-6, abs=1e-9)


def test_relion_angles_by_relions_formula():
    """Would catch the transposed matrix or exchanged rot and psi: A of (rot, tilt, psi) as RELION computes it."""
    rot, tilt, psi = np.radians([30.0, 50.0, -70.0])
    ca, cb, cg = np.cos([rot, tilt, psi])
    sa, sb, sg = np.sin([rot, tilt, psi])
    A = [
        [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
        [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
        [sb * ca, sb * sa, cb],
    ]
    np.testing.assert_allclose(rotations.from_relion_angles([[30, 50, -70]])[0], A, atol=1e-12)
    again = rotations.from_relion_angles(rotations.relion_angles(RANDOM))
    np.testing.assert_allclose(again, RANDOM, atol=1e-9)
