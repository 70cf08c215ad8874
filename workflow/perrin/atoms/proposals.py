"""Atoms to add and to take away: sites that continue the neighbours' lattice, weighed against the frames.

No lattice is assumed beyond that of each atom's own surroundings: where x_j and its neighbour x_k are atoms,
2 x_j - x_k is a place for one. That follows strain, and grows a twin across its boundary.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree

from perrin.atoms.sites import nonnegative_solution, point_equations
from perrin.imaging.blobs import Filtered


def empty_sites(xyz_A, nearest_A, least_neighbours=3):
    """(m, 3) places that continue the bonds of the atoms outwards or into vacancies.

    nearest_A : distance of nearest neighbours; sites closer than 0.8 of it to an atom are dropped, as are
        sites with fewer than least_neighbours atoms within 1.25 of it
    """
    tree = cKDTree(xyz_A)
    pairs = tree.query_pairs(1.25 * nearest_A, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    points = 2 * xyz_A[pairs[:, 0]] - xyz_A[pairs[:, 1]]
    points = points[tree.query(points)[0] > 0.8 * nearest_A]
    if len(points) < 2:
        return points
    label = fcluster(linkage(points, "average"), 0.45 * nearest_A, "distance")
    centres = np.array([points[label == i].mean(0) for i in range(1, label.max() + 1)])
    distance, _ = tree.query(centres)
    count = tree.query_ball_point(centres, 1.25 * nearest_A, return_length=True)
    return centres[(distance > 0.8 * nearest_A) & (count >= least_neighbours)]


def add_and_remove(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, nearest_A,
    add_above=0.5, drop_below=0.35, frames=500,
):  # fmt: skip
    """Weigh all atoms and all empty sites together (non-negative occupancies); keep what the frames support.

    frames : how many frames, evenly taken, are asked
    returns xyz_A, occupancy, number added, number removed
    """
    rows = np.unique(np.linspace(0, len(rotation) - 1, min(frames, len(rotation))).astype(int))
    candidates = empty_sites(xyz_A, nearest_A)
    points = np.concatenate([xyz_A, candidates])
    few = Filtered(filtered.coefficient[rows], filtered.step_A, filtered.centre)
    b, N = point_equations(few, points, rotation[rows], shift_A[rows], amplitude[rows], overlap)
    found = nonnegative_solution(b, N)
    found = found / np.median(found[: len(xyz_A)])
    old = np.flatnonzero(found[: len(xyz_A)] >= drop_below)
    new = np.flatnonzero(found[len(xyz_A) :] > add_above)
    # of two new sites too close to each other the weaker one goes
    new = new[np.argsort(-found[len(xyz_A) + new])]
    kept = []
    for i in new:
        if all(np.linalg.norm(candidates[i] - candidates[k]) > 0.62 * nearest_A for k in kept):
            kept.append(i)
    kept = np.array(sorted(kept), int)
    xyz = np.concatenate([xyz_A[old], candidates[kept]])
    levels = np.concatenate([occupancy[old], np.ones(len(kept))])
    return xyz, levels, len(kept), len(xyz_A) - len(old)
