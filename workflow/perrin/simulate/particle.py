"""FCC nanocrystals with known atoms: shapes, small displacements, and the atoms that an event takes away."""

import numpy as np
from scipy.spatial import cKDTree

FACE_PULL = 2.6  # sum of the unit vectors to the neighbours of an atom in a {111} or {100} face, about
NEIGHBOUR_CUTOFF = 0.5 * (np.sqrt(0.5) + 1)  # in lattice constants: half way between first and second shell


def truncated_octahedron(length, cutoff):
    """FCC sites of an octahedron with `length` atoms along an edge and `cutoff` layers off each corner.

    Returns (n, 3) integers in half lattice constants.  (7, 2) has 201 sites, (8, 2) has 314.

    >>> len(truncated_octahedron(7, 2)), len(truncated_octahedron(8, 2))
    (201, 314)
    """
    reach = length - 1
    axis = np.arange(-reach, reach + 1)
    sites = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    inside = (np.abs(sites).sum(1) <= reach) & (np.abs(sites).max(1) <= reach - cutoff)
    return sites[inside & ((sites.sum(1) - reach) % 2 == 0)]


def ball(radius_A, lattice_A, centre_A=(0.0, 0.0, 0.0)):
    """FCC sites within radius_A of centre_A; (n, 3) integers in half lattice constants.

    >>> len(ball(9.0, 3.9242))
    201
    """
    reach = int(np.ceil(2 * (radius_A + np.abs(centre_A).max()) / lattice_A)) + 1
    axis = np.arange(-reach, reach + 1)
    sites = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    sites = sites[sites.sum(1) % 2 == 0]
    return sites[np.linalg.norm(sites * lattice_A / 2 - np.asarray(centre_A), axis=1) <= radius_A]


def coordination(xyz_A, lattice_A):
    """Number of neighbours of each atom within 0.854 lattice constants, (n,) int.

    >>> sites = ball(9.0, 3.9242) * 3.9242 / 2
    >>> np.unique(coordination(sites, 3.9242), return_counts=True)[1].tolist()
    [24, 36, 6, 56, 79]
    """
    tree = cKDTree(xyz_A)
    return tree.query_ball_point(xyz_A, NEIGHBOUR_CUTOFF * lattice_A, return_length=True) - 1


def remove_atoms(xyz_A, n_atoms, lattice_A, direction=None, weight=1.0):
    """Rows that stay when `n_atoms` leave one after the other, least coordinated first.

    direction : (3,) or None; the side of the particle that is eaten away, `weight` neighbours of advantage
        for the atom farthest along it.

    >>> sites = ball(9.0, 3.9242) * 3.9242 / 2
    >>> left = remove_atoms(sites, 20, 3.9242, direction=(0, 0, 1))
    >>> len(left), bool(sites[left, 2].mean() < 0)
    (181, True)
    """
    xyz_A = np.asarray(xyz_A, float)
    if not 0 <= n_atoms < len(xyz_A):
        raise ValueError(f"cannot take {n_atoms} atoms from {len(xyz_A)}")
    side = np.zeros(len(xyz_A))
    if direction is not None:
        unit = np.asarray(direction, float) / np.linalg.norm(direction)
        side = (xyz_A - xyz_A.mean(0)) @ unit
        side = weight * side / np.abs(side).max()
    near = cKDTree(xyz_A).query_ball_point(xyz_A, NEIGHBOUR_CUTOFF * lattice_A)
    count = np.array([len(rows) - 1 for rows in near], float)
    stays = np.ones(len(xyz_A), bool)
    for _ in range(n_atoms):
        leaver = int(np.argmin(np.where(stays, count - side, np.inf)))
        stays[leaver] = False
        count[near[leaver]] -= 1
    return np.flatnonzero(stays)


def relaxed(sites_A, lattice_A, contraction_A=0.05):
    """Atoms pulled towards the neighbours they have; an atom of a flat face by about `contraction_A`."""
    near = cKDTree(sites_A).query_ball_point(sites_A, NEIGHBOUR_CUTOFF * lattice_A)
    bond = lattice_A * np.sqrt(0.5)
    pull = np.array([(sites_A[rows] - site).sum(0) for site, rows in zip(sites_A, near)]) / bond
    return sites_A + contraction_A * pull / FACE_PULL


def build_states(spec, lattice_A, seed):
    """The particle's states from the section `particle` of a spec.

    spec : shape truncated_octahedron (length, cutoff) or ball (radius_A, centre_A), or xyz_A (a list of
        atoms); strain_pct 1.5; displacement_A 0.03 (rms per axis, an atom keeps its own through all states);
        contraction_A 0.05; lose: [{frame, n_atoms, direction, weight}], frame 0 trims the shape itself.
    Returns [(first_frame, id (n,) int from 1, xyz_A (n, 3))], origin = centroid of the first state.
    """
    rng = np.random.default_rng([seed, 1])
    lattice = lattice_A * (1 + spec.get("strain_pct", 1.5) / 100)
    if "xyz_A" in spec:
        sites = np.asarray(spec["xyz_A"], float)
    elif spec.get("shape", "truncated_octahedron") == "ball":
        sites = ball(spec["radius_A"], lattice, spec.get("centre_A", (0, 0, 0))) * lattice / 2
    else:
        sites = truncated_octahedron(spec.get("length", 7), spec.get("cutoff", 2)) * lattice / 2
    losses = sorted(spec.get("lose", []), key=lambda loss: loss["frame"])
    ids = np.arange(len(sites))
    noise = rng.normal(0, spec.get("displacement_A", 0.03), sites.shape)
    steps = [(0, ids)]
    for loss in losses:
        ids = ids[
            remove_atoms(sites[ids], loss["n_atoms"], lattice, loss.get("direction"), loss.get("weight", 1.0))
        ]
        if loss["frame"] <= 0:
            steps = [(0, ids)]
        else:
            steps.append((int(loss["frame"]), ids))
    number = np.zeros(len(sites), int)
    number[steps[0][1]] = np.arange(1, len(steps[0][1]) + 1)
    states = []
    for first, rows in steps:
        xyz = relaxed(sites[rows], lattice, spec.get("contraction_A", 0.05)) + noise[rows]
        states.append((first, number[rows], xyz))
    origin = states[0][2].mean(0)
    return [(first, ident, xyz - origin) for first, ident, xyz in states]
