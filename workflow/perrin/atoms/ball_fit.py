"""Sub-voxel places of atoms in a map: a Gaussian ball fitted to each, its neighbours' balls taken off."""

import numba
import numpy as np

STEPS = 4  # Gauss-Newton steps between two exchanges of neighbours
SWEEPS = 3


@numba.njit(forceinline=True)
def _fit_one(data, j, ball, first, others, radius, out):
    """Gauss-Newton of height, background, centre and width of ball j; its neighbours stand as in `ball`."""
    n = data.shape[0]
    p = ball[j].copy()
    reach = int(np.ceil(radius))
    z0, y0, x0 = int(np.rint(first[j, 0])), int(np.rint(first[j, 1])), int(np.rint(first[j, 2]))
    H = np.empty((6, 6))
    g = np.empty(6)
    d = np.empty(6)
    for _ in range(STEPS):
        H[:] = 0
        g[:] = 0
        for z in range(max(0, z0 - reach), min(n, z0 + reach + 1)):
            for y in range(max(0, y0 - reach), min(n, y0 + reach + 1)):
                for x in range(max(0, x0 - reach), min(n, x0 + reach + 1)):
                    if (z - z0) ** 2 + (y - y0) ** 2 + (x - x0) ** 2 > radius * radius:
                        continue
                    value = float(data[z, y, x])
                    for k in others:
                        q = ball[k]
                        away = (z - q[2]) ** 2 + (y - q[3]) ** 2 + (x - q[4]) ** 2
                        value -= q[0] * np.exp(-away / (2 * q[5] * q[5]))
                    dz, dy, dx = z - p[2], y - p[3], x - p[4]
                    square = dz * dz + dy * dy + dx * dx
                    e = np.exp(-square / (2 * p[5] * p[5]))
                    slope = p[0] * e / (p[5] * p[5])
                    d[0] = e
                    d[1] = 1.0
                    d[2] = slope * dz
                    d[3] = slope * dy
                    d[4] = slope * dx
                    d[5] = slope * square / p[5]
                    left = value - p[1] - p[0] * e
                    for a in range(6):
                        g[a] += d[a] * left
                        for b in range(a, 6):
                            H[a, b] += d[a] * d[b]
        for a in range(6):
            for b in range(a):
                H[a, b] = H[b, a]
        for a in range(6):
            H[a, a] = H[a, a] * 1.001 + 1e-12
        move = np.linalg.solve(H, g)
        far = np.sqrt(move[2] ** 2 + move[3] ** 2 + move[4] ** 2)
        scale = min(1.0, 0.7 / max(far, 1e-9))
        p += scale * move
        p[5] = min(max(p[5], 0.5), radius)
        if not (p[0] > 0):
            break
    out[:] = p


@numba.njit(cache=True, parallel=True)
def _sweep(data, ball, first, neighbour, count, radius, new):
    for j in numba.prange(len(ball)):
        _fit_one(data, j, ball, first, neighbour[j, : count[j]], radius, new[j])


def fit_balls(data, centre, spacing):
    """Height, background, centre and width of a Gaussian ball at each atom.

    data : (n, n, n); centre : (m, 3) start (z, y, x), voxels; spacing : nearest distance of atoms, voxels
    returns height (m,), centre (m, 3), width (m,) as a standard deviation in voxels; a ball that went astray
    (no height, moved by more than a third of the spacing) has width NaN and its start as centre
    """
    first = np.ascontiguousarray(centre, float)
    m = len(first)
    if m == 0:
        return np.zeros(0), first, np.zeros(0)
    data = np.ascontiguousarray(data, np.float32)
    at = tuple(np.clip(np.rint(first).astype(int), 0, np.array(data.shape) - 1).T)
    ball = np.empty((m, 6))
    ball[:, 0] = np.maximum(data[at], 1e-6 * np.abs(data).max())
    ball[:, 1] = 0
    ball[:, 2:5] = first
    ball[:, 5] = 0.15 * spacing
    distance = np.linalg.norm(first[:, None] - first, axis=-1)
    near = (distance < 1.5 * spacing) & (distance > 0)
    count = near.sum(1)
    neighbour = np.zeros((m, max(count.max(), 1)), np.int64)
    for j in range(m):
        neighbour[j, : count[j]] = np.flatnonzero(near[j])
    radius = 0.45 * spacing
    for _ in range(SWEEPS):
        new = np.empty_like(ball)
        _sweep(data, ball, first, neighbour, count, radius, new)
        moved = np.linalg.norm(new[:, 2:5] - first, axis=1)
        good = np.isfinite(new).all(1) & (new[:, 0] > 0) & (moved < spacing / 3)
        ball = np.where(good[:, None], new, ball)
    return ball[:, 0], np.where(good[:, None], ball[:, 2:5], first), np.where(good, ball[:, 5], np.nan)
