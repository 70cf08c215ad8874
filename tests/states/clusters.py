"""Perfect clusters on an integer lattice, made without the library: r = integers * a / 2."""

import numpy as np

STEPS = np.array(
    [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if abs(i) + abs(j) + abs(k) == 2]
)


def lattice_points(rule, reach=16):
    """(n, 3) integers that the rule keeps."""
    g = np.arange(-reach, reach + 1)
    points = np.stack(np.meshgrid(g, g, g, indexing="ij"), -1).reshape(-1, 3)
    return points[rule(points)]


def octahedron(edge, cut=0):
    """(n, 3) integers: octahedron with `edge` atoms an edge, `cut` layers off every corner."""
    n = edge - 1
    return lattice_points(
        lambda p: (np.abs(p).sum(1) <= n) & (p.sum(1) % 2 == n % 2) & (np.abs(p).max(1) <= n - cut)
    )


def sphere(square):
    """(n, 3) integers: fcc points with r^2 <= square (a/2)^2 about an atom."""
    return lattice_points(lambda p: (p.sum(1) % 2 == 0) & ((p**2).sum(1) <= square))


def shuffled(points, a_A, seed):
    """The cluster in angstrom, turned, moved and in another order."""
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(seed)
    xyz = points * a_A / 2 @ Rotation.random(rng=rng).as_matrix().T + rng.uniform(-20, 20, 3)
    return rng.permutation(xyz)
