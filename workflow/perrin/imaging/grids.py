"""Grids of orientations: a lattice's fundamental zone, with its neighbours across the zone's faces."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # about the beam: what inversion of a centrosymmetric body looks like


@dataclass(frozen=True)
class OrientationGrid:
    """Orientations that represent all of SO(3) up to the lattice's rotations and the half turn about the beam.

    rotation : (n, 3, 3)
    neighbour : (n, m) int32, -1 where there are fewer than m
    angle : (n, m) float32, radians, to the nearest equivalent of the neighbour
    spacing_deg : mean distance of neighbouring nodes
    """

    rotation: np.ndarray
    neighbour: np.ndarray
    angle: np.ndarray
    spacing_deg: float


def equivalents(rotation, group):
    """(..., 2 g, 3, 3): R S and C2z R S for S in the group; S = 1 without half turn first."""
    turned = np.einsum("...ij,gjk->...gik", rotation, group)
    return np.concatenate([turned, HALF_TURN @ turned], -3)


def fibonacci_sphere(n):
    """(n, 3) nearly uniform unit vectors on a spiral."""
    i = np.arange(n) + 0.5
    z = 1 - 2 * i / n
    phi = np.pi * (1 + np.sqrt(5)) * i
    rho = np.sqrt(1 - z * z)
    return np.c_[rho * np.cos(phi), rho * np.sin(phi), z]


def orientation_grid(group, spacing_deg, reach_deg):
    """Grid over the zone of a rotation group (with inversion), spacing and neighbour reach in degrees.

    Beam directions: those points of a sphere spiral that are the largest of their orbit in a fixed generic
    order; in-plane angle in [0, 180) degrees because C2z R is equivalent to R for a centrosymmetric lattice.
    """
    spacing = np.radians(spacing_deg)
    directions = fibonacci_sphere(int(round(4 * np.pi / spacing**2)))
    generic = np.array([0.37, 0.113, 0.922])  # any direction off all mirror planes picks one of each orbit
    orbit = np.einsum("gij,nj->ngi", group, directions) @ generic
    own = directions @ generic
    directions = directions[own >= orbit.max(1) - 1e-12]
    psi = np.arange(int(round(np.pi / spacing))) * spacing
    theta = np.arccos(np.clip(directions[:, 2], -1, 1))
    phi = np.arctan2(directions[:, 1], directions[:, 0])
    to_beam = Rotation.from_euler("ZY", np.c_[phi, theta]).inv()
    spin = Rotation.from_euler("Z", psi[:, None])
    rotation = np.einsum("pij,djk->dpik", spin.as_matrix(), to_beam.as_matrix()).reshape(-1, 3, 3)
    neighbour, angle = _neighbours(rotation, group, np.radians(reach_deg))
    return OrientationGrid(rotation, neighbour, angle, spacing_deg)


def _neighbours(rotation, group, reach):
    """Nodes within reach (radians) of each node, up to equivalence, by a tree on quaternions of both signs."""
    n = len(rotation)
    quaternion = Rotation.from_matrix(rotation).as_quat()
    images = Rotation.from_matrix(equivalents(rotation, group).reshape(-1, 3, 3)).as_quat()
    owner = np.repeat(np.arange(n), 2 * len(group))
    tree = cKDTree(quaternion)
    chord = 2 * np.sin(reach / 4)
    # of all images only those near some node matter, and they are few
    images = np.concatenate([images, -images])
    owner = np.concatenate([owner, owner])
    near = tree.query(images, distance_upper_bound=chord)[0] <= chord
    images, owner = images[near], owner[near]
    pairs = cKDTree(images).sparse_distance_matrix(tree, chord, output_type="coo_matrix")
    node, other, distance = pairs.col, owner[pairs.row], pairs.data
    theta = 4 * np.arcsin(np.clip(distance / 2, 0, 1))
    order = np.lexsort((theta, other, node))
    node, other, theta = node[order], other[order], theta[order]
    first = np.r_[True, (node[1:] != node[:-1]) | (other[1:] != other[:-1])]
    node, other, theta = node[first], other[first], theta[first]
    # a node is its own neighbour at angle 0, which a sparse matrix may leave out
    self_pair = node == other
    node = np.r_[np.arange(n), node[~self_pair]]
    other = np.r_[np.arange(n), other[~self_pair]]
    theta = np.r_[np.zeros(n), theta[~self_pair]]
    order = np.lexsort((other, theta, node))
    node, other, theta = node[order], other[order], theta[order]
    count = np.bincount(node, minlength=n)
    column = np.arange(len(node)) - np.repeat(np.cumsum(count) - count, count)
    neighbour = np.full((n, count.max()), -1, np.int32)
    angle = np.full((n, count.max()), np.inf, np.float32)
    neighbour[node, column] = other
    angle[node, column] = theta
    return neighbour, angle
