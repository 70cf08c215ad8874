"""Rotations of a set of atoms onto itself: groups that are known, and projections that do not change."""

import numpy as np
import pytest
from ase.cluster import Decahedron, Icosahedron
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.imaging.lattice import sites
from perrin.imaging.symmetry import moved_images, own_motions, same_images


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
    own = own_motions(turned)
    assert (own.proper, len(own) - own.proper) == (proper, mirrored)
    np.testing.assert_allclose(own.rotation[0], np.eye(3), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(own.rotation), 1)
    assert np.linalg.norm(own.offset_A, axis=1).max() < 0.1
    square = own.rotation @ own.rotation.swapaxes(1, 2)
    np.testing.assert_allclose(square, np.tile(np.eye(3), (len(own), 1, 1)), atol=1e-9)


def test_poses_of_same_images_project_alike():
    """Would catch a half turn on the wrong side: the mirrored body's projection is then another one."""
    atoms = Decahedron("Pt", 4, 3, 0).positions
    atoms = atoms - atoms.mean(0)
    R = Rotation.random(rng=np.random.default_rng(5)).as_matrix()
    tree = cKDTree(atoms @ R[:2].T)
    every = same_images(R, own_motions(atoms))
    np.testing.assert_allclose(every[0], R)
    assert len(every) == 20
    for other in every:
        assert tree.query(atoms @ other[:2].T)[0].max() < 1e-6


def test_a_cut_body_keeps_its_near_symmetries_about_its_old_centre():
    """Would catch a search that needs every atom, and shifts left out: the centroid of a cut body is not its centre."""
    whole = Icosahedron("Pt", 4).positions
    atoms = whole[np.argsort(whole @ [0.3, 0.5, 0.8])[:-8]]
    atoms = atoms - atoms.mean(0)
    own = own_motions(atoms)
    assert own.proper == 60 and len(own) == 120
    R, shift = Rotation.random(rng=np.random.default_rng(2)).as_matrix(), np.array([0.4, -0.3])
    tree = cKDTree(atoms @ R[:2].T + shift)
    for other, moved in zip(*moved_images(R, shift, own)):
        away, _ = tree.query(atoms @ other[:2].T + moved)
        assert np.mean(away < 0.1) > 0.85
