"""Rotations: R takes the body to the microscope, r_lab = R r_body; quaternions are scalar first."""

import numpy as np
from scipy.spatial.transform import Rotation


def matrices(quaternion):
    """(n, 4) unit quaternions (w, x, y, z) to (n, 3, 3) rotation matrices."""
    return Rotation.from_quat(np.asarray(quaternion, float), scalar_first=True).as_matrix()


def quaternions(matrix):
    """(n, 3, 3) rotation matrices to (n, 4) unit quaternions (w, x, y, z) with w >= 0."""
    return Rotation.from_matrix(np.asarray(matrix, float)).as_quat(scalar_first=True, canonical=True)


def rotvec_matrices(rotvec):
    """(n, 3) rotation vectors, radians, to (n, 3, 3) matrices exp([w])."""
    return Rotation.from_rotvec(np.asarray(rotvec, float)).as_matrix()


def angles_between(first, second):
    """Angles, radians, between rotation matrices (..., 3, 3) of two broadcastable arrays.

    From the Frobenius norm, |A - B|^2 = 8 sin^2(angle / 2): exact for small angles, unlike the trace.
    """
    squared = np.square(np.asarray(first) - np.asarray(second)).sum((-2, -1))
    return 2 * np.arcsin(np.sqrt(np.clip(squared / 8, 0, 1)))


def relion_angles(matrix):
    """(n, 3, 3) rotations to RELION's (rot, tilt, psi), degrees; RELION's matrix A equals R."""
    transposed = np.swapaxes(np.asarray(matrix, float), -1, -2)
    return Rotation.from_matrix(transposed).as_euler("ZYZ", degrees=True)


def from_relion_angles(angles_deg):
    """RELION's (rot, tilt, psi), degrees, (n, 3), to (n, 3, 3) rotations R."""
    return np.swapaxes(Rotation.from_euler("ZYZ", angles_deg, degrees=True).as_matrix(), -1, -2)


def across(rotation):
    """(3, 3) information on places along each direction of the body that views give: 0 along the beam, 1 across it."""
    view = rotation[:, 2]
    return np.eye(3) - view.T @ view / len(view)
