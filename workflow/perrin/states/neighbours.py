"""Pairs of neighbouring atoms, and the distances that tell the first shell of a lattice from the second."""

import numpy as np
from scipy.spatial import cKDTree

from perrin.imaging import lattice

# second-shell distance in units of a
SECOND_SHELL = {"fcc": 1.0, "bcc": 1.0, "hcp": np.sqrt(2.0)}
FIRST_SHELL_ATOMS = {"fcc": 12, "bcc": 8, "hcp": 12}


def pairs(xyz, reach_A):
    """(m, 2) int, each pair of atoms nearer than reach_A once (strictly nearer, as published), in sorted order.

    >>> pairs(np.array([[0.0, 0, 0], [2.7, 0, 0], [5.4, 0, 0]]), 3.0).tolist()
    [[0, 1], [1, 2]]
    """
    found = cKDTree(xyz).query_pairs(np.nextafter(reach_A, 0), output_type="ndarray").astype(np.int64)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def both_ways(pair):
    """(2 m, 2) int, every pair in both directions, sorted by the first atom."""
    both = np.r_[pair, pair[:, ::-1]]
    return both[np.lexsort((both[:, 1], both[:, 0]))]


def nearest_distances(xyz):
    """(n,) distance of each atom to its nearest neighbour, angstrom; NaN for a lone atom."""
    if len(xyz) < 2:
        return np.full(len(xyz), np.nan)
    return cKDTree(xyz).query(xyz, k=2)[0][:, 1]


def shell_midpoint(system, a_A):
    """Distance midway between first and second shell, angstrom: 0.85355 a (fcc), 0.93301 a (bcc), 1.20711 a (hcp).

    >>> round(float(shell_midpoint("fcc", 3.9242)), 3)
    3.35
    """
    return 0.5 * (lattice.nearest_distance(system, a_A) + SECOND_SHELL[system] * a_A)


def radial_distribution(xyz, volume_A3, reach_A=8.0, step_A=0.02, width_A=0.1):
    """(r_A, g): atoms at a distance from an atom over those of a uniform cloud, smoothed by a Gaussian of width_A.

    volume_A3 : an atom's volume in the cloud, that of the bulk. Not corrected for the particle's finite size: a slow
    fall with r, which no first minimum minds. The area of the first peak, times 4 pi r^2 over the volume, is the mean
    coordination.
    """
    edges = np.arange(0, reach_A + step_A, step_A)
    r = 0.5 * (edges[1:] + edges[:-1])
    found = pairs(xyz, reach_A)
    distance = np.linalg.norm(xyz[found[:, 0]] - xyz[found[:, 1]], axis=1)
    counts = np.histogram(distance, edges)[0].astype(float)
    kernel = np.exp(-0.5 * (np.arange(-5 * width_A, 5 * width_A + step_A, step_A) / width_A) ** 2)
    smooth = np.convolve(counts, kernel / kernel.sum(), mode="same")
    return r, 2 * smooth * volume_A3 / (4 * np.pi * r**2 * step_A * max(len(xyz), 1))


def radial_minimum(xyz, first_A, second_A):
    """Minimum of the radial distribution between the first and the second shell, angstrom.

    first_A, second_A : the shells' expected distances. Where the distribution is flat between them (perfect lattices
    leave it empty), the middle of its lowest stretch.
    """
    r, g = radial_distribution(xyz, 1.0)
    inside = (r > first_A + 0.2 * (second_A - first_A)) & (r < second_A - 0.1 * (second_A - first_A))
    low = g[inside] <= g[inside].min() + 1e-3 * g.max()
    return float(r[inside][low].mean())


def components(n, pair):
    """List of index arrays: the connected groups among n items that the (m, 2) pairs join; lone items left out."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    if len(pair) == 0:
        return []
    graph = coo_matrix((np.ones(len(pair)), (pair[:, 0], pair[:, 1])), shape=(n, n))
    label = connected_components(graph, directed=False)[1]
    order = np.argsort(label, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    return [group for group in groups if len(group) > 1]
