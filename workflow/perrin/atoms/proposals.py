"""Atoms to add and to take away: sites that continue the neighbours' lattice, weighed against the frames.

No lattice is assumed beyond that of each atom's own surroundings: where x_j and its neighbour x_k are atoms,
2 x_j - x_k is a place for one, and where three are neighbours of each other, so are the two hollows beside their
triangle. The first follows strain and fills vacancies; of the hollows on a close-packed face one half continues the
stacking and the other half is its fault, so that a twin grows across its boundary. An atom that rests on one or two
others is in no such place; it is looked for all about the surface, in what the model leaves unexplained. A place that
holds something is moved to where the frames have it before it is judged: in a disordered particle that is half an
angstrom away.
"""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial import cKDTree

from perrin.atoms.sites import nonnegative_solution, point_equations
from perrin.imaging.blobs import Filtered, read
from perrin.imaging.pairs import vector_overlaps

NUDGES_A = 0.30, 0.15  # steps, along each axis, by which a place is moved
APART = 0.62  # of the distance of nearest neighbours: two atoms are not nearer
ONE_ATOM = 0.4  # of it: two places so near had begun one atom, and neither is proposed anew
SOMETHING = 0.12  # occupancy above which a place is moved before it is judged
LONE = 0.30  # the same of a place that no lattice proposes: of thousands some show that much by chance
LONE_SIGMAS = 5.0  # and how much above its error, for the same reason


def empty_sites(xyz_A, nearest_A, least_neighbours=3, closest=0.8, faults=False):
    """(m, 3) places that continue the bonds of the atoms outwards or into vacancies.

    nearest_A : distance of nearest neighbours; sites nearer than `closest` of it to an atom are dropped, as are
        sites with fewer than least_neighbours atoms within 1.25 of it
    faults : also the hollows that do not continue the stacking
    """
    tree = cKDTree(xyz_A)
    pairs = tree.query_pairs(1.25 * nearest_A, output_type="ndarray")
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    points = 2 * xyz_A[pairs[:, 0]] - xyz_A[pairs[:, 1]]
    if faults:
        points = np.concatenate([points, hollows(xyz_A, nearest_A)])
    points = points[tree.query(points)[0] > closest * nearest_A]
    if len(points) < 2:
        return points
    label = fcluster(linkage(points, "average"), 0.45 * nearest_A, "distance")
    centres = np.array([points[label == i].mean(0) for i in range(1, label.max() + 1)])
    distance, _ = tree.query(centres)
    count = tree.query_ball_point(centres, 1.25 * nearest_A, return_length=True)
    return centres[(distance > closest * nearest_A) & (count >= least_neighbours)]


def hollows(xyz_A, nearest_A):
    """(m, 3) the two places at nearest_A from all three corners of every triangle of mutual neighbours."""
    near = cKDTree(xyz_A).query_ball_point(xyz_A, 1.25 * nearest_A)
    sets = [set(rows) for rows in near]
    corners = [
        (i, j, k) for i in range(len(xyz_A)) for j in near[i] if j > i for k in sets[i] & sets[j] if k > j
    ]
    if not corners:
        return np.zeros((0, 3))
    a, b, c = (xyz_A[list(rows)] for rows in zip(*corners))
    normal = np.cross(b - a, c - a)
    twice = np.linalg.norm(normal, axis=1, keepdims=True)
    middle = (a + b + c) / 3
    height = np.sqrt(np.maximum(nearest_A**2 - np.square(a - middle).sum(1), 0))[:, None]
    flat = twice[:, 0] > 0.5 * nearest_A**2  # a "triangle" flatter than that bounds no hollow
    up = (height * normal / np.maximum(twice, 1e-9))[flat]
    return np.concatenate([middle[flat] + up, middle[flat] - up])


def lone_places(xyz_A, occupancy, nearest_A, filtered, rotation, shift_A, amplitude, overlap):
    """(m, 3) places about the surface where the frames show something that the model lacks, the clearest first.

    All points of a grid that are about as far from the nearest atom as neighbours are; of those closer to each other
    than atoms can be the clearest alone.
    """
    spacing = 0.28 * nearest_A
    low, high = xyz_A.min(0) - 1.2 * nearest_A, xyz_A.max(0) + 1.2 * nearest_A
    axes = [np.arange(a, b, spacing) for a, b in zip(low, high)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    distance, _ = cKDTree(xyz_A).query(grid)
    grid = grid[(distance > 0.75 * nearest_A) & (distance < 1.15 * nearest_A)]
    left = unexplained(grid, xyz_A, occupancy, filtered, rotation, shift_A, amplitude, overlap)
    one = np.square(amplitude).sum() * overlap.table[0, 0]  # what an atom would show
    clear = np.flatnonzero((left > LONE * one) & (left > LONE_SIGMAS * np.sqrt(one)))
    grid = grid[clear[np.argsort(-left[clear], kind="stable")]]
    return grid[_spread(grid, APART * nearest_A)]


def _spread(points, least_A):
    """Rows of the points, the most important first, without those nearer than least_A to one kept before."""
    kept = []
    for i, point in enumerate(points):
        if all(np.linalg.norm(point - points[k]) > least_A for k in kept):
            kept.append(i)
    return np.array(kept, int)


def add_and_remove(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, nearest_A,
    add_above=0.5, drop_below=0.35, frames=500, lone=False,
):  # fmt: skip
    """Weigh all atoms and all empty sites together (non-negative occupancies); keep what the frames support.

    Atoms that had begun twice are one before they are weighed.

    frames : how many frames, evenly taken, are asked
    lone : look for atoms about the whole surface too, for a second and more of time
    returns xyz_A, occupancy, number added, number removed
    """
    rows = np.unique(np.linspace(0, len(rotation) - 1, min(frames, len(rotation))).astype(int))
    few = Filtered(filtered.coefficient[rows], filtered.step_A, filtered.centre)
    seen = few, rotation[rows], shift_A[rows], amplitude[rows], overlap
    before = len(xyz_A)
    xyz_A, occupancy = merged(xyz_A, occupancy, ONE_ATOM * nearest_A)
    n = len(xyz_A)

    def levels(points):
        few, R, s, a, K = seen
        found = nonnegative_solution(*point_equations(few, points, R, s, a, K))
        return found / np.median(found[:n])

    candidates = empty_sites(xyz_A, nearest_A, closest=0.7, faults=True)
    if lone:
        candidates = np.concatenate([candidates, lone_places(xyz_A, occupancy, nearest_A, *seen)])
    found = levels(np.concatenate([xyz_A, candidates]))
    some = found[n:] > SOMETHING
    candidates, found = candidates[some], np.r_[found[:n], found[n:][some]]
    if some.any():
        candidates = nudged(candidates, np.concatenate([xyz_A, candidates]), found, *seen)
        # what moved onto an atom goes, and of several that moved to one place all but the strongest: they share an atom
        apart, _ = cKDTree(xyz_A).query(candidates)
        strong = np.argsort(-found[n:], kind="stable")
        candidates = candidates[strong[apart[strong] > APART * nearest_A]]
        candidates = candidates[np.sort(_spread(candidates, APART * nearest_A))]
        found = levels(np.concatenate([xyz_A, candidates]))
    old = np.flatnonzero(found[:n] >= drop_below)
    kept = np.flatnonzero(found[n:] > add_above)
    xyz = np.concatenate([xyz_A[old], candidates[kept]])
    occupancies = np.concatenate([occupancy[old], np.ones(len(kept))])
    return xyz, occupancies, len(kept), before - len(old)


def merged(xyz_A, occupancy, within_A):
    """Atoms that lie within_A of each other as one where they are together: an atom that two places had begun."""
    if len(xyz_A) < 2:
        return xyz_A, occupancy
    group = fcluster(linkage(xyz_A, "single"), within_A, "distance") - 1
    if group.max() + 1 == len(xyz_A):
        return xyz_A, occupancy
    weight = np.maximum(occupancy, 1e-6)
    place = [np.bincount(group, weight * x) for x in xyz_A.T] / np.bincount(group, weight)
    return place.T, np.bincount(group, occupancy)


def nudged(candidates, points, occupancy, filtered, rotation, shift_A, amplitude, overlap):
    """Candidates moved to where the frames, all else taken away, show most of an atom: (m, 3).

    points (n + m, 3), occupancy (n + m,): everything that is there, the candidates at its end
    """
    m = len(candidates)
    places = np.array(candidates, float)
    for step in NUDGES_A:
        cube = step * (np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3))
        tried = places[:, None] + cube
        everything = np.concatenate([points[:-m], places])
        left = unexplained(
            tried.reshape(-1, 3), everything, occupancy, filtered, rotation, shift_A, amplitude, overlap
        ).reshape(m, -1)
        own = vector_overlaps(cube, rotation, amplitude, overlap)  # of a place moved with where it was
        places = tried[np.arange(m), np.argmax(left + occupancy[-m:, None] * own, axis=1)]
    return places


def unexplained(
    places, points, occupancy, filtered, rotation, shift_A, amplitude, overlap, chunk=1000
):  # fmt: skip
    """What the frames show at places (m, 3) beyond the atoms at points (n, 3): (m,), sums over frames of a <y, p>."""
    out = np.empty(len(places))
    for first in range(0, len(places), chunk):
        some = places[first : first + chunk]
        shown = amplitude @ read(filtered, some, rotation, shift_A)
        apart = (some[:, None] - points).reshape(-1, 3)
        others = vector_overlaps(apart, rotation, amplitude, overlap).reshape(len(some), -1)
        out[first : first + chunk] = shown - others @ occupancy
    return out
