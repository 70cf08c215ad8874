"""Rotations of a set of atoms onto itself: groups that are known, and projections that do not change."""

import numpy as np
import pytest
from ase.cluster import Decahedron, Icosahedron
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging.lattice import sites
from perrin.imaging.symmetry import own_rotations, same_images


@pytest.mark.parametrize(
    ("atoms", "proper", "mirrored"),
    [
        (Icosahedron("Pt", 4).positions, 60, 60),
        (Decahedron("Pt", 4, 3, 0).positions, 10, 10),
        (sites("fcc", 3.92, 8.0), 24, 24),
        (np.random.default_rng(1).normal(0, 6, (80, 3)), 1, 0),
    ],
    ids=["icosahedron", "decahedron", "ball of a lattice", "none"],
)
def test_groups_of_known_bodies(atoms, proper, mirrored):
    """Would catch elements that are missed or found twice, in any setting of the axes and with displaced atoms."""
    rng = np.random.default_rng(3)
    turned = atoms @ Rotation.random(rng=rng).as_matrix().T + rng.normal(0, 0.05, atoms.shape) + 4.0
    right, inverted = own_rotations(turned)
    assert (len(right), len(inverted)) == (proper, mirrored)
    np.testing.assert_allclose(right[0], np.eye(3))
    every = np.concatenate([right, inverted])
    np.testing.assert_allclose(np.linalg.det(every), 1)
    np.testing.assert_allclose(
        every @ every.swapaxes(1, 2), np.tile(np.eye(3), (len(every), 1, 1)), atol=1e-9
    )


def test_poses_of_same_images_project_alike():
    """Would catch a half turn on the wrong side: the mirrored body's projection is then another one."""
    atoms = Decahedron("Pt", 4, 3, 0).positions
    atoms = atoms - atoms.mean(0)
    R = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
    tree = cKDTree(atoms @ R[:2].T)
    every = same_images(R, own_rotations(atoms))
    np.testing.assert_allclose(every[0], R)
    assert len(every) == 20
    for other in every:
        assert tree.query(atoms @ other[:2].T)[0].max() < 1e-6


def test_a_cut_body_keeps_its_near_symmetries():
    """Would catch a search that needs every atom: particles lack some of theirs."""
    atoms = Icosahedron("Pt", 4).positions
    lacking = np.argsort(atoms @ [0.3, 0.5, 0.8])[:-8]
    right, _ = own_rotations(atoms[lacking])
    assert len(right) == 60
