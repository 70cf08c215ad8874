"""Crystal lattices: symmetry, reflections and sites of the cubic metals (fcc, bcc) and hcp.

The body frame of a locked particle has the lattice's axes along x, y, z (hcp: c along z, a along x).
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

IDEAL_C_OVER_A = np.sqrt(8 / 3)

# atoms of the unit cell, in fractions of the cell vectors
_BASIS = {
    "fcc": [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "hcp": [[0, 0, 0], [1 / 3, 2 / 3, 0.5]],
}


@dataclass(frozen=True)
class Reflections:
    """One of each pair (G, -G) of the reciprocal lattice.

    G : (m, 3) float64, 1/angstrom, body frame
    shell : (m,) int, number of the shell of equal |G|, from 0
    phase : (m,) complex128, structure factor of the cell over its number of atoms (1 for fcc and bcc)
    """

    G: np.ndarray
    shell: np.ndarray
    phase: np.ndarray


def cell(system, a_A, c_over_a=IDEAL_C_OVER_A):
    """(3, 3) cell vectors as rows, angstrom."""
    if system == "hcp":
        return a_A * np.array([[1, 0, 0], [-0.5, np.sqrt(3) / 2, 0], [0, 0, c_over_a]])
    return a_A * np.eye(3)


def atoms_per_cell(system):
    """Number of atoms in the unit cell: 4 (fcc), 2 (bcc, hcp)."""
    return len(_BASIS[system])


def volume_per_atom(system, a_A, c_over_a=IDEAL_C_OVER_A):
    """Cubic angstrom."""
    return abs(np.linalg.det(cell(system, a_A, c_over_a))) / atoms_per_cell(system)


def nearest_distance(system, a_A):
    """Distance between nearest neighbours, angstrom."""
    return a_A * {"fcc": np.sqrt(0.5), "bcc": np.sqrt(0.75), "hcp": 1.0}[system]


def rotation_group(system):
    """(g, 3, 3) proper rotations of the lattice: 24 for cubic systems, 6 (D3) for hcp.

    The hexagonal lattice has 12, but the two-atom basis of hcp leaves 6 proper rotations about a
    centre of symmetry.
    """
    return Rotation.create_group("D3" if system == "hcp" else "O").as_matrix()


def pattern_group(system):
    """(g, 3, 3) rotations that leave the lattice as it is but for a shift: 24 for cubic systems, 12 (D6) for hcp.

    Half of hcp's are screw axes, with half of c. An image tells none of them apart, for its shift is free.
    """
    return Rotation.create_group("D6" if system == "hcp" else "O").as_matrix()


def misorientations(system):
    """(g, 3, 3) rotations by which a path on a lattice may be wrong: its own, in cubic metals those of a twin, too.

    A turn of 60 degrees about a body diagonal (Sigma 3) leads into the other domain: fcc across {111}, bcc {112}.
    """
    own = pattern_group(system)
    if system == "hcp":
        return own
    diagonals = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) / np.sqrt(3)
    twins = Rotation.from_rotvec(np.pi / 3 * diagonals).as_matrix()
    return np.concatenate([own, *(twins @ turn for turn in own)])


def branches(system, a_A):
    """What may be wrong about a pose by its lattice alone: rotations (g, 3, 3), and slips (m, 3) with zero first.

    Not every pair of a rotation and a slip is a symmetry: about a screw axis it takes half of c.
    """
    slips = slip_vectors(system, a_A)
    if system == "hcp":
        half = np.array([0, 0, a_A * IDEAL_C_OVER_A / 2])
        slips = np.r_[slips, [half, -half]]
    return pattern_group(system), slips


def reflections(system, a_A, k_max, c_over_a=IDEAL_C_OVER_A):
    """The allowed reflections with |G| < k_max (1/angstrom), half of each pair, ordered by shell."""
    vectors = cell(system, a_A, c_over_a)
    reciprocal = np.linalg.inv(vectors).T
    reach = int(np.ceil(k_max * np.linalg.norm(vectors, axis=1).max())) + 1
    h = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    basis = np.array(_BASIS[system])
    factor = np.exp(-2j * np.pi * (h @ (basis - centre_of_symmetry(system)).T)).mean(1)
    G = h @ reciprocal
    length = np.linalg.norm(G, axis=1)
    first = (h[:, 2] > 0) | ((h[:, 2] == 0) & ((h[:, 1] > 0) | ((h[:, 1] == 0) & (h[:, 0] > 0))))
    keep = first & (length < k_max) & (np.abs(factor) > 1e-6)
    G, length, factor = G[keep], length[keep], factor[keep]
    order = np.lexsort((G[:, 0], G[:, 1], G[:, 2], length.round(6)))
    G, length, factor = G[order], length[order], factor[order]
    shell = np.unique(length.round(5), return_inverse=True)[1]
    return Reflections(G, shell, factor)


def centre_of_symmetry(system):
    """The point of highest symmetry with an inversion, in fractions of the cell: an atom, in hcp an octahedral hole.

    Midway between hcp's two atoms there is an inversion too, but about that point only two of the six rotations hold.
    """
    return np.array([2 / 3, 1 / 3, 0.25]) if system == "hcp" else np.zeros(3)


def sites(system, a_A, radius_A, centre_A=(0, 0, 0), c_over_a=IDEAL_C_OVER_A):
    """(n, 3) lattice points within radius_A of centre_A, angstrom; an atom (hcp: an inversion centre) at 0."""
    vectors = cell(system, a_A, c_over_a)
    centre = np.asarray(centre_A, float)
    reach = (
        int(np.ceil((radius_A + np.linalg.norm(centre)) / np.linalg.norm(vectors, axis=1).min() * 1.2)) + 1
    )
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    fractions = (steps + np.array(_BASIS[system]) - centre_of_symmetry(system)).reshape(-1, 3)
    points = fractions @ vectors
    return points[np.linalg.norm(points - centre, axis=1) <= radius_A]


def _different_places(system, a_A):
    """(m, 3) atoms of the cell that no translation of the lattice joins, from its centre: one, of hcp two."""
    motif = np.array(_BASIS[system]) - centre_of_symmetry(system)
    return (motif if system == "hcp" else motif[:1]) @ cell(system, a_A)


def fitted_constant(xyz_A, system, a_A, weight=None, turns=4):
    """Lattice constant of atoms whose axes are about x, y, z: scale, turn and shift by least squares.

    xyz_A (n, 3) : atoms; those off the lattice by more than a fifth of the nearest distance are left out
    a_A : a first value, within a few percent
    weight (3, 3) : information on places along each direction, None for the same along all
    returns the constant (angstrom) and the number of atoms on the lattice; (nan, 0) where there are fewer than four
    """
    weight = np.eye(3) if weight is None else weight
    middle = xyz_A.mean(0)
    origin = xyz_A[np.argmin(np.linalg.norm(xyz_A - middle, axis=1))]
    reach = np.linalg.norm(xyz_A - origin, axis=1).max() + nearest_distance(system, a_A)
    # the atom at the origin may be any; a wrong choice leaves many atoms without a site
    best = np.nan, 0
    for start in _different_places(system, a_A):
        points = sites(system, a_A, reach + np.linalg.norm(start), start) - start
        tree, scale, turn, shift = cKDTree(points), 1.0, np.eye(3), -origin
        for _ in range(turns):
            placed = (xyz_A + shift) @ turn.T / scale
            away, at = tree.query(placed)
            on = away < 0.2 * nearest_distance(system, a_A)
            if on.sum() < 4:
                break
            here, there = xyz_A[on], points[at[on]]
            a, b = here - here.mean(0), there - there.mean(0)
            turn = Rotation.align_vectors(b, a)[0].as_matrix()
            b = b @ turn
            scale = (a @ weight * b).sum() / (b @ weight * b).sum()
            shift = there.mean(0) * scale @ turn - here.mean(0)
        if on.sum() > max(best[1], 3):
            best = a_A * scale, int(on.sum())
    return best


def fitted_deformation(xyz_A, system, a_A, reach_A=(4.0, 6.0, 9.0, 13.0, 20.0, np.inf), weight=None):
    """Affine map of the lattice onto atoms whose axes are about x, y, z, by least squares from the middle outwards.

    Unlike lengths of bonds, which errors of the atoms make longer, it has no bias. Where the map is off by some per
    cent only the middle finds its sites at first, and mends it for those farther out.
    xyz_A (n, 3) : atoms; those off the lattice by more than a fifth of the nearest distance are left out
    a_A : a first value, within a few percent; reach_A : distances from the middle within which atoms are asked in turn
    weight (3, 3) : symmetric, of displacements where an atom looks for its site, None for the same along all directions
    returns F (3, 3), position = F @ site + origin; on (n,) bool, the atoms on the lattice; off_A (n, 3), what leads
    from its site to an atom on it. F is nan where too few are on, off_A for those that are not
    """
    nearest = nearest_distance(system, a_A)
    weight = np.eye(3) if weight is None else weight
    distance = np.linalg.norm(xyz_A - xyz_A.mean(0), axis=1)
    nowhere = np.full((len(xyz_A), 3), np.nan)
    best = np.full((3, 3), np.nan), np.zeros(len(xyz_A), bool), nowhere
    for start in _different_places(system, a_A):  # any of them may be the atom in the middle
        points = (
            sites(system, a_A, 1.1 * (distance.max() + 2 * nearest) + np.linalg.norm(start), start) - start
        )
        tree = cKDTree(points @ weight)
        for first in np.argsort(distance, kind="stable")[:5]:  # one of them is displaced more than the others
            F, origin = np.eye(3), xyz_A[first]
            for reach in reach_A:
                away, at = tree.query((xyz_A - origin) @ np.linalg.inv(F).T @ weight)
                on = (away < 0.2 * nearest) & (distance < reach) & _nearest_to(at, away)
                if on.sum() < 5:
                    break
                known = np.c_[points[at[on]], np.ones(on.sum())]
                *columns, origin = np.linalg.lstsq(known, xyz_A[on], rcond=None)[0]
                F = np.array(columns).T
                if not np.linalg.cond(F) < 2:  # of a few atoms in a plane, say
                    break
            else:
                if on.sum() > best[1].sum():
                    off = np.where(on[:, None], xyz_A - points[at] @ F.T - origin, np.nan)
                    best = F, on, off
    return best


def _nearest_to(site, away):
    """(n,) bool, whether no other atom is nearer to its site than this one."""
    order = np.lexsort((away, site))
    first = np.r_[True, np.diff(site[order]) != 0]
    found = np.zeros(len(site), bool)
    found[order[first]] = True
    return found


def slip_vectors(system, a_A):
    """(m, 3) lattice translations between nearest neighbours, the zero vector first."""
    points = sites(system, a_A, 1.05 * nearest_distance(system, a_A)) if system != "hcp" else None
    if system == "hcp":
        angles = np.arange(6) * np.pi / 3
        points = np.c_[a_A * np.cos(angles), a_A * np.sin(angles), np.zeros(6)]
        points = np.r_[points, [[0, 0, 0]]]
    return points[np.argsort(np.linalg.norm(points, axis=1), kind="stable")]
