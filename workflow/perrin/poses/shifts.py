"""Where the lattice's origin appears in each frame, followed through time on its absolute position in the field.

A lattice looks the same after a shift by one of its own vectors, so a frame alone cannot tell which of several
places the origin has; but a particle moves by a fraction of a lattice vector between frames. The path is
therefore found over the whole movie at once, and the random walk acts on the absolute position (box position +
shift): a walk about the tracked centre, whose error is of the order of a lattice vector, slips.
"""

import numba
import numpy as np

REACH = 20  # half steps: the grid holds 2 * REACH + 1 shifts an axis
RESTART = 30.0  # nats that a break of the path costs, so that a lost stretch can be recovered
CELL_FRAMES = 400  # with which places in the lattice's cell are compared


@numba.njit(parallel=True, fastmath=True, cache=True)
def _score_grids(values, first, k, shell, f, alpha, step, out):
    n = out.shape[1]
    for frame in numba.prange(len(first) - 1):
        for m in range(first[frame], first[frame + 1]):
            amplitude = 2 * alpha * f[shell[m]]
            for iy in range(n):
                wy = np.exp(2j * np.pi * k[m, 1] * (iy - n // 2) * step)
                for ix in range(n):
                    wx = np.exp(2j * np.pi * k[m, 0] * (ix - n // 2) * step)
                    out[frame, iy, ix] += amplitude * (values[m] * wx * wy).real


@numba.njit(forceinline=True)
def _pass(value, back, shift, cost):
    """Max-plus of one axis (the last): from s + shift + d to s."""
    rows, n = value.shape
    new = np.full((rows, n), -1e30)
    reach = len(cost) // 2
    for r in range(rows):
        for s in range(n):
            for d in range(-reach, reach + 1):
                o = s + shift + d
                if 0 <= o < n and value[r, o] - cost[d + reach] > new[r, s]:
                    new[r, s] = value[r, o] - cost[d + reach]
                    back[r, s] = o
    return new


@numba.njit(forceinline=True)
def _track(score, moved, cost, restart):
    frames, n, _ = score.shape
    back_x = np.full((frames, n, n), -1, np.int16)
    back_y = np.full((frames, n, n), -1, np.int16)
    restarted = np.full((frames, n, n), -1, np.int32)
    value = score[0].copy()
    for t in range(1, frames):
        top = value.max()
        arg = np.argmax(value)
        along_x = _pass(value, back_x[t], moved[t, 0], cost)
        flipped = _pass(along_x.T.copy(), back_y[t], moved[t, 1], cost)
        new = flipped.T.copy()
        for y in range(n):
            for x in range(n):
                if new[y, x] < top - restart:
                    new[y, x] = top - restart
                    restarted[t, y, x] = arg
        value = new + score[t]
    path = np.empty((frames, 2), np.int64)
    best = np.argmax(value)
    y, x = best // n, best % n
    for t in range(frames - 1, -1, -1):
        path[t, 0] = x
        path[t, 1] = y
        if t == 0:
            break
        if restarted[t, y, x] >= 0:
            o = restarted[t, y, x]
            y, x = o // n, o % n
        else:
            oy = back_y[t, x, y]
            ox = back_x[t, oy, x]
            y, x = oy, ox
    return path, value.max()


@numba.njit(parallel=True, cache=True)
def _likelihoods(score, expected, axis, weight, moved, cost, restart):
    out = np.empty(len(expected))
    for i in numba.prange(len(expected)):
        _, out[i] = _track(_with_prior(score, expected[i], axis, weight), moved, cost, restart)
    return out


@numba.njit(forceinline=True)
def _with_prior(score, expected, axis, weight):
    out = score.copy()
    for t in range(len(score)):
        for iy in range(len(axis)):
            for ix in range(len(axis)):
                out[t, iy, ix] -= weight * (
                    (axis[ix] - expected[t, 0]) ** 2 + (axis[iy] - expected[t, 1]) ** 2
                )
    return out


def track_shifts(
    spot,
    values,
    amplitudes,
    alpha,
    rotation,
    box_px,
    centre_A,
    pixel_A,
    offsets,
    walk_A=0.2,
    centre_sigma_A=0.9,
):
    """The path of in-plane shifts of the lattice's origin, and where the body's centre is from that origin.

    spot, values : from evidence.path_coefficients, the lattice's spots at each frame's orientation
    amplitudes, alpha : of the shells, as for the orientations
    rotation : (f, 3, 3), orientations of the path
    box_px : (f, 2) int, field pixel of each box's centre
    centre_A : (f, 2), tracked centre of the particle, from the box centre
    offsets : (m, 3), candidates for the vector from the lattice's origin to the tracked centre, body frame; all
        are tried on the CELL_FRAMES frames that show most, and the one with the most likely path is taken
    walk_A : standard deviation an axis and frame of the absolute position
    centre_sigma_A : of the tracked centre about the body's centre; larger than the tracker's error, because
        that is correlated over about ten frames
    returns shift_A (f, 2) from the box centre, offset (3,), log-likelihoods (m,)
    """
    step = pixel_A / 2
    n = 2 * REACH + 1
    score = np.zeros((len(box_px), n, n))
    _score_grids(
        values, spot.first, spot.k, spot.shell, np.asarray(amplitudes, float), float(alpha), step, score
    )
    axis = (np.arange(n) - REACH) * step
    weight = 1 / (2 * centre_sigma_A**2)
    reach = int(np.ceil(5 * walk_A / step))
    cost = np.square(np.arange(-reach, reach + 1) * step) / (2 * walk_A**2)
    moved = np.zeros((len(box_px), 2), np.int64)
    moved[1:] = 2 * np.diff(box_px, axis=0)
    expected = centre_A - np.einsum("fij,mj->mfi", rotation[:, :2], np.asarray(offsets, float))
    # places in a cell are told apart by the frames that show the lattice best
    height = np.cumsum(np.r_[0.0, score.max((1, 2))])
    length = min(CELL_FRAMES, len(score))
    first = int(np.argmax(height[length:] - height[:-length]))
    few = slice(first, first + length)
    likelihood = _likelihoods(score[few], expected[:, few].copy(), axis, weight, moved[few], cost, RESTART)
    best = int(np.argmax(likelihood))
    path, _ = _track(_with_prior(score, expected[best], axis, weight), moved, cost, RESTART)
    return (path - REACH) * step, np.asarray(offsets[best], float), likelihood


def cell_offsets(slips, spacing_A=0.7):
    """(m, 3) grid over the Wigner-Seitz cell of a lattice: all distinct places of a centre against the lattice.

    slips : (k, 3) shortest lattice vectors, zero allowed
    """
    slips = slips[np.linalg.norm(slips, axis=1) > 0]
    reach = np.linalg.norm(slips, axis=1).max()
    axis = np.arange(-np.ceil(reach / spacing_A), np.ceil(reach / spacing_A) + 1) * spacing_A
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    inside = (points @ slips.T <= 0.5 * np.square(slips).sum(1) + 1e-9).all(1)
    return points[inside]


def body_centre(rotation, shift_A, centre_A, rounds=10):
    """The body point that the tracked centre follows: robust fit of (R o)_xy = centre - shift, (3,) angstrom.

    rotation : (f, 3, 3); shift_A, centre_A : (f, 2)
    """
    lhs = rotation[:, :2].reshape(-1, 3)
    rhs = (centre_A - shift_A).ravel()
    weight = np.ones(len(shift_A))
    offset = np.zeros(3)
    for _ in range(rounds):
        w = np.repeat(weight, 2)
        offset = np.linalg.solve(lhs.T @ (lhs * w[:, None]) + 1e-3 * np.eye(3), lhs.T @ (w * rhs))
        miss = np.linalg.norm((rhs - lhs @ offset).reshape(-1, 2), axis=1)
        weight = 1 / (1 + (miss / 0.7) ** 2) ** 2
    return offset
