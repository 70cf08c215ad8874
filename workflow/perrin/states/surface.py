"""The particle's surface as its outermost atoms draw it, and how deep below it each atom lies."""

import numpy as np
from numba import njit
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, Delaunay, QhullError, cKDTree

from perrin.files.errors import InputError

LARGEST_HOLE = 0.9  # radius in nearest-neighbour distances; an octahedral hole has 0.71, a vacancy 1.0
APART = 1e-6  # nearest-neighbour distances


def hull_volume(xyz):
    """Volume of the convex hull of the atoms' centres, cubic angstrom; 0 for fewer than 4 atoms or flat ones.

    >>> cube = np.array([[x, y, z] for x in (0, 2) for y in (0, 2) for z in (0, 2)], float)
    >>> round(float(hull_volume(cube)), 6)
    8.0
    """
    try:
        return float(ConvexHull(xyz).volume) if len(xyz) >= 4 else 0.0
    except QhullError:
        return 0.0


def largest_distance(xyz):
    """Largest distance between two atoms' centres, angstrom.

    >>> round(float(largest_distance(np.array([[0, 0, 0], [2.0, 2, 2], [1, 1, 0]]))), 4)
    3.4641
    """
    if len(xyz) < 2:
        return 0.0
    try:
        corner = xyz[ConvexHull(xyz).vertices] if len(xyz) >= 5 else xyz
    except QhullError:
        corner = xyz
    return float(np.sqrt(max(((corner - point) ** 2).sum(1).max() for point in corner)))


def depths(xyz, nearest_A):
    """(n,) distance of each atom below the surface, angstrom; 0 for atoms of the surface itself.

    The surface bounds the alpha shape: Delaunay tetrahedra whose sphere is smaller than 0.9 nearest-neighbour
    distances. Facets stay flat, edges sharp, a single atom on a facet lifts the surface around itself only. Vacancies
    inside are no surface: only holes that open to the outside are. NaN where there is no such body.

    >>> below = depths(xyz, 2.775)
    >>> int((below == 0).sum()), round(float(below.max()), 1)
    (122, 6.8)
    """
    if len(xyz) < 5:
        return np.full(len(xyz), np.nan)
    if not np.isfinite(xyz).all():
        raise InputError("atoms without finite coordinates have no surface; leave them out")
    # the many equal spheres of a perfect lattice are told apart by a shift that no result sees: without it Qhull
    # splits squares that two tetrahedra share in two ways
    shift = np.random.default_rng(0).uniform(-1, 1, xyz.shape) * APART * nearest_A
    try:
        mesh = Delaunay(xyz - xyz.mean(0) + shift)
    except QhullError:
        return np.full(len(xyz), np.nan)
    wide = _radii((xyz - xyz.mean(0) + shift)[mesh.simplices]) > LARGEST_HOLE * nearest_A
    simplex = mesh.simplices[~_outside(wide, mesh.neighbors)]
    if len(simplex) == 0:
        return np.full(len(xyz), np.nan)
    faces = np.sort(np.concatenate([np.delete(simplex, k, axis=1) for k in range(4)]), axis=1)
    face, count = np.unique(faces, axis=0, return_counts=True)
    face = face[count == 1]
    depth = _distances(xyz, xyz[face])
    depth[np.unique(face)] = 0.0
    depth[np.setdiff1d(np.arange(len(xyz)), simplex)] = 0.0  # atoms that no tetrahedron holds stick out
    return depth


def _radii(corner):
    """(m,) radius of the sphere through the corners (m, 4, 3) of each tetrahedron; infinite for flat ones."""
    edge = corner[:, 1:] - corner[:, :1]
    volume = np.abs(np.linalg.det(edge))
    right = (edge**2).sum(2)
    flat = volume < 1e-14 * right.max(1) ** 1.5
    edge[flat] = np.eye(3)
    centre = np.linalg.solve(2 * edge, right[..., None])[..., 0]
    return np.where(flat, np.inf, np.linalg.norm(centre, axis=1))


def _outside(wide, neighbours):
    """Which of the wide tetrahedra are connected to the outside through wide ones."""
    n = len(wide)
    here, side = np.nonzero(wide[:, None] & ((neighbours < 0) | wide[neighbours]))
    there = neighbours[here, side]
    there[there < 0] = n  # the outside is one more node
    graph = coo_matrix((np.ones(len(here)), (here, there)), shape=(n + 1, n + 1))
    label = connected_components(graph, directed=False)[1]
    return wide & (label[:n] == label[n])


def _distances(points, triangles):
    """(n,) distance of each point to the nearest triangle; those whose enclosing ball is too far are passed over."""
    centre = triangles.mean(1)
    radius = np.linalg.norm(triangles - centre[:, None], axis=2).max(1)
    likely = cKDTree(centre).query(points)[1]
    return _nearest(points, triangles, centre, radius, likely)


@njit(cache=True)
def _nearest(points, triangles, centre, radius, likely):
    m = len(triangles)
    out = np.empty(len(points))
    for i in range(len(points)):
        x, y, z = points[i]
        best = np.sqrt(_to_triangle(points[i], triangles[likely[i]]))
        for t in range(m):
            square = (x - centre[t, 0]) ** 2 + (y - centre[t, 1]) ** 2 + (z - centre[t, 2]) ** 2
            if square < (best + radius[t]) ** 2:
                best = min(best, np.sqrt(_to_triangle(points[i], triangles[t])))
        out[i] = best
    return out


@njit(forceinline=True)
def _to_triangle(p, t):
    """Squared distance of a point to a triangle (regions of the plane, after Ericson 2004)."""
    ab, ac, ap = t[1] - t[0], t[2] - t[0], p - t[0]
    d1, d2 = np.dot(ab, ap), np.dot(ac, ap)
    if d1 <= 0 and d2 <= 0:
        return np.dot(ap, ap)
    bp = p - t[1]
    d3, d4 = np.dot(ab, bp), np.dot(ac, bp)
    if d3 >= 0 and d4 <= d3:
        return np.dot(bp, bp)
    vc = d1 * d4 - d3 * d2
    if vc <= 0 and d1 >= 0 and d3 <= 0:
        q = ap - ab * (d1 / (d1 - d3))
        return np.dot(q, q)
    cp = p - t[2]
    d5, d6 = np.dot(ab, cp), np.dot(ac, cp)
    if d6 >= 0 and d5 <= d6:
        return np.dot(cp, cp)
    vb = d5 * d2 - d1 * d6
    if vb <= 0 and d2 >= 0 and d6 <= 0:
        q = ap - ac * (d2 / (d2 - d6))
        return np.dot(q, q)
    va = d3 * d6 - d5 * d4
    if va <= 0 and (d4 - d3) >= 0 and (d5 - d6) >= 0:
        w = (d4 - d3) / ((d4 - d3) + (d5 - d6))
        q = bp - (t[2] - t[1]) * w
        return np.dot(q, q)
    total = va + vb + vc
    if total <= 0:
        return np.dot(ap, ap)
    q = ap - ab * (vb / total) - ac * (vc / total)
    return np.dot(q, q)
