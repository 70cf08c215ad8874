"""Sums over pairs of atoms whose images overlap: the squared norm of a projected model and its derivatives.

    |M|^2 = sum_jk o_j o_k K(|u_j - u_k|^2)      with u the places of the atoms in the image

The image places of a pose are r_xy + s with r = R x; a shift moves all atoms alike and drops out, so only r is
asked for. Atoms are sorted by x, pairs within reach are laid out in blocks that stay in the cache, and each block
is summed as vectors in float32 with the overlap as a polynomial (imaging.profile.Overlap.series): a table would
be gathered element by element. Blocks are added up in float64.
"""

import numba
import numpy as np

BLOCK = 1024  # pairs summed in single precision before they are added in double
# division that cannot raise, or loops are not vectorised; inlined by the compiler, for which of several compiled
# copies of a function a kernel calls depends on what ran before, and with it the last digits
_FLAGS = {"fastmath": True, "error_model": "numpy", "forceinline": True}
_ONE, _TWO, _ZERO = np.float32(1), np.float32(2), np.float32(0)


@numba.njit(**_FLAGS)
def overlap_derivatives(q, series):
    """K, dK/dq and d2K/dq2 at squared distance q, zero beyond the reach."""
    c, slope, shift, reach = series[0], series[1], series[2], series[3]
    v = c / (c + min(q, reach))
    t = v * slope + shift
    # Horner's rule for the value and its derivatives, written out: a loop here would not be vectorised
    k, k1, k2 = series[17], _ZERO, _ZERO
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[16]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[15]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[14]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[13]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[12]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[11]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[10]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[9]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[8]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[7]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[6]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[5]
    k2, k1, k = k2 * t + k1, k1 * t + k, k * t + series[4]
    turn = -v * v / c  # dv/dq
    k2 = _TWO * slope * turn * (slope * turn * k2 - k1 * v / c)
    k1 = k1 * slope * turn
    if q >= reach:
        k, k1, k2 = _ZERO, _ZERO, _ZERO
    return k, k1, k2


@numba.njit(**_FLAGS)
def _sorted(r, occupancy, atoms):
    """Fill atoms (4, n) float32 with x, y, z and occupancy in order of x; returns the order."""
    order = np.argsort(r[:, 0])
    for a in range(len(order)):
        j = order[a]
        atoms[0, a] = r[j, 0]
        atoms[1, a] = r[j, 1]
        atoms[2, a] = r[j, 2]
        atoms[3, a] = occupancy[j]
    return order


@numba.njit(**_FLAGS)
def _add(one, factor, many, out):
    """out = one + factor many; an array at a time, or the loop is not vectorised."""
    for b in range(len(out)):
        out[b] = one + factor * many[b]


@numba.njit(**_FLAGS)
def _block_sums(dx, dy, dz, both, series):
    """Sums over pairs of o o K, and of o o K' dz along dx and dy."""
    norm, along_x, along_y = _ZERO, _ZERO, _ZERO
    for p in range(len(dx)):
        k, k1, _ = overlap_derivatives(dx[p] * dx[p] + dy[p] * dy[p], series)
        norm += both[p] * k
        pull = both[p] * k1 * dz[p]
        along_x += pull * dx[p]
        along_y += pull * dy[p]
    return norm, along_x, along_y


@numba.njit(**_FLAGS)
def _block_matrix(dx, dy, dz, both, sx, sy, sz, series, H):
    """Add the pairs' share of the matrix to H; s: sums of two atoms' coordinates, d: differences."""
    h00 = h01 = h11 = h02 = h03 = h04 = h12 = h14 = h22 = h23 = h33 = h24 = h34 = h44 = _ZERO
    for p in range(len(dx)):
        x, y, z = dx[p], dy[p], dz[p]
        _, k1, k2 = overlap_derivatives(x * x + y * y, series)
        k1 *= -_TWO * both[p]
        k2 *= -_TWO * _TWO * both[p]
        m11 = k1 + k2 * x * x
        m12 = k2 * x * y
        m22 = k1 + k2 * y * y
        X, Y, Z = sx[p], sy[p], sz[p]
        xx, yy, zz = X * X - x * x, Y * Y - y * y, Z * Z - z * z  # 4 x_j x_k, ...
        xy, xz, yz = X * Y - x * y, X * Z - x * z, Y * Z - y * z  # 2 (x_j y_k + x_k y_j), ...
        h00 += m11
        h01 += m12
        h11 += m22
        h02 -= Z * m12
        h03 += Z * m11
        h04 += X * m12 - Y * m11
        h12 -= Z * m22
        h14 += X * m22 - Y * m12
        h22 += zz * m22
        h23 -= zz * m12
        h33 += zz * m11
        h24 += yz * m12 - xz * m22
        h34 += xz * m12 - yz * m11
        h44 += yy * m11 - _TWO * xy * m12 + xx * m22
    half = np.float32(0.5)
    H[0, 0] += _TWO * h00
    H[0, 1] += _TWO * h01
    H[1, 1] += _TWO * h11
    H[0, 2] += h02
    H[0, 3] += h03
    H[0, 4] += h04
    H[1, 2] += h12
    H[1, 3] -= h02
    H[1, 4] += h14
    H[2, 2] += half * h22
    H[2, 3] += half * h23
    H[3, 3] += half * h33
    H[2, 4] += half * h24
    H[3, 4] += half * h34
    H[4, 4] += half * h44


@numba.njit(**_FLAGS)
def pair_sums(r, occupancy, series, H, matrix):
    """|M|^2 and its derivative in w_x and w_y, where w turns the atoms (r <- exp([w]) r).

    r : (n, 3) turned atoms, angstrom
    H : (5, 5), filled if matrix is asked for: overlaps of the model's changes with (s_x, s_y, w_x, w_y, w_z)
    """
    n = len(r)
    atoms = np.empty((4, n), np.float32)
    _sorted(r, occupancy, atoms)
    x, y, z, o = atoms[0], atoms[1], atoms[2], atoms[3]
    reach = np.sqrt(series[3])
    k0, k01, _ = overlap_derivatives(_ZERO, series)
    norm, along_x, along_y = 0.0, 0.0, 0.0
    if matrix:
        H[:] = 0
        for a in range(n):
            m = -2.0 * k01 * o[a] * o[a]
            H[0, 0] += m
            H[0, 3] += m * z[a]
            H[0, 4] -= m * y[a]
            H[1, 4] += m * x[a]
            H[2, 2] += m * z[a] * z[a]
            H[2, 4] -= m * z[a] * x[a]
            H[3, 4] -= m * z[a] * y[a]
            H[4, 4] += m * (x[a] * x[a] + y[a] * y[a])
        H[1, 1] = H[0, 0]
        H[1, 2] = -H[0, 3]
        H[3, 3] = H[2, 2]
    block = np.empty((7, BLOCK + n), np.float32)
    filled, last = 0, 0
    for a in range(n):
        norm += 0.5 * k0 * o[a] * o[a]
        while last < n and x[last] - x[a] <= reach:
            last += 1
        first, stop = filled, filled + last - a - 1
        _add(x[a], -_ONE, x[a + 1 : last], block[0][first:stop])
        _add(y[a], -_ONE, y[a + 1 : last], block[1][first:stop])
        _add(z[a], -_ONE, z[a + 1 : last], block[2][first:stop])
        _add(_ZERO, o[a], o[a + 1 : last], block[3][first:stop])
        if matrix:
            _add(x[a], _ONE, x[a + 1 : last], block[4][first:stop])
            _add(y[a], _ONE, y[a + 1 : last], block[5][first:stop])
            _add(z[a], _ONE, z[a + 1 : last], block[6][first:stop])
        filled = stop
        if filled >= BLOCK or a == n - 1:
            dx, dy, dz, both = block[0][:filled], block[1][:filled], block[2][:filled], block[3][:filled]
            some = _block_sums(dx, dy, dz, both, series)
            norm += some[0]
            along_x += some[1]
            along_y += some[2]
            if matrix:
                _block_matrix(dx, dy, dz, both, block[4], block[5], block[6], series, H)
            filled = 0
    if matrix:
        for a in range(5):
            for b in range(a):
                H[a, b] = H[b, a]
    return 2 * norm, -4 * along_y, 4 * along_x


@numba.njit(parallel=True, fastmath=True, cache=True)
def _norms(xyz, occupancy, rotation, series, out):
    for f in numba.prange(len(rotation)):
        r = np.zeros((len(xyz), 3))
        for j in range(len(xyz)):
            for c in range(3):
                r[j, 0] += rotation[f, 0, c] * xyz[j, c]
                r[j, 1] += rotation[f, 1, c] * xyz[j, c]
        out[f] = pair_sums(r, occupancy, series, np.empty((5, 5)), False)[0]


def model_norms(xyz_A, occupancy, rotation, overlap):
    """Squared norm of the projected model at each orientation, (f,)."""
    out = np.empty(len(rotation))
    _norms(
        np.ascontiguousarray(xyz_A, float), np.ascontiguousarray(occupancy, float),
        np.ascontiguousarray(rotation, float), overlap.series, out,
    )  # fmt: skip
    return out


@numba.njit(**_FLAGS)
def _frame_sum(x0, x1, x2, y0, y1, y2, weight, v, series):
    """Sum over frames of weight times the overlap of two atoms that lie v (3,) apart; x, y: axes of the frames."""
    total = _ZERO
    a, b, c = np.float32(v[0]), np.float32(v[1]), np.float32(v[2])
    for f in range(len(weight)):
        x = x0[f] * a + x1[f] * b + x2[f] * c
        y = y0[f] * a + y1[f] * b + y2[f] * c
        k, _, _ = overlap_derivatives(x * x + y * y, series)
        total += weight[f] * k
    return total


@numba.njit(parallel=True, fastmath=True, cache=True)
def _vector_overlaps(vectors, axes, weight, series, out):
    frames = len(weight)
    for v in numba.prange(len(vectors)):
        total = 0.0
        for first in range(0, frames, BLOCK):
            last = min(first + BLOCK, frames)
            total += _frame_sum(
                axes[0][first:last], axes[1][first:last], axes[2][first:last], axes[3][first:last],
                axes[4][first:last], axes[5][first:last], weight[first:last], vectors[v], series,
            )  # fmt: skip
        out[v] = total


def vector_overlaps(vectors_A, rotation, amplitude, overlap):
    """Overlap of two atoms apart by each vector (v, 3), summed over frames with the square of their amplitude: (v,)."""
    out = np.empty(len(vectors_A))
    axes = np.ascontiguousarray(rotation[:, :2].reshape(-1, 6).T, np.float32)
    weight = np.square(np.asarray(amplitude, np.float32))
    _vector_overlaps(np.ascontiguousarray(vectors_A, float), axes, weight, overlap.series, out)
    return out


@numba.njit(**_FLAGS)
def _row_overlaps(x, y, o, x0, y0, series):
    """Sums over atoms of o K and of o times the gradient of K in the place (x0, y0)."""
    value, along_x, along_y = _ZERO, _ZERO, _ZERO
    for b in range(len(x)):
        dx, dy = x0 - x[b], y0 - y[b]
        k, k1, _ = overlap_derivatives(dx * dx + dy * dy, series)
        value += o[b] * k
        along_x += o[b] * k1 * dx
        along_y += o[b] * k1 * dy
    return value, _TWO * along_x, _TWO * along_y


@numba.njit(**_FLAGS)
def _row_changes(x, y, z, o, x0, y0, series, change):
    """Fill change (3, 5) of an atom at (x0, y0); see `atom_changes`."""
    f00 = f01 = f11 = f02 = f12 = f03 = f04 = f14 = g0 = g1 = g2 = g3 = g4 = _ZERO
    for b in range(len(x)):
        dx, dy = x0 - x[b], y0 - y[b]
        _, k1, k2 = overlap_derivatives(dx * dx + dy * dy, series)
        k1 *= -_TWO * o[b]
        k2 *= -_TWO * _TWO * o[b]
        m11 = k1 + k2 * dx * dx
        m12 = k2 * dx * dy
        m22 = k1 + k2 * dy * dy
        f00 += m11
        f01 += m12
        f11 += m22
        f02 -= z[b] * m12
        f12 -= z[b] * m22
        f03 += z[b] * m11
        f04 += x[b] * m12 - y[b] * m11
        f14 += x[b] * m22 - y[b] * m12
        g0 += k1 * dx
        g1 += k1 * dy
        g2 -= k1 * dy * z[b]
        g3 += k1 * dx * z[b]
        g4 += k1 * (x[b] * dy - y[b] * dx)
    change[0, 0], change[0, 1], change[0, 2], change[0, 3], change[0, 4] = f00, f01, f02, f03, f04
    change[1, 0], change[1, 1], change[1, 2], change[1, 3], change[1, 4] = f01, f11, f12, -f02, f14
    change[2, 0], change[2, 1], change[2, 2], change[2, 3], change[2, 4] = g0, g1, g2, g3, g4


@numba.njit(**_FLAGS)
def _partners(x, reach):
    """(n, 2) first row and one past the last of the atoms within reach of each along x; x in order."""
    rows = np.empty((len(x), 2), np.int64)
    first, last = 0, 0
    for a in range(len(x)):
        while x[a] - x[first] > reach:
            first += 1
        while last < len(x) and x[last] - x[a] <= reach:
            last += 1
        rows[a, 0], rows[a, 1] = first, last
    return rows


@numba.njit(**_FLAGS)
def atom_overlaps(r, occupancy, series, overlaps):
    """overlaps (n, 3): of every atom with the whole model, and the gradient of that in the atom's place."""
    atoms = np.empty((4, len(r)), np.float32)
    order = _sorted(r, occupancy, atoms)
    x, y, o = atoms[0], atoms[1], atoms[3]
    rows = _partners(x, np.sqrt(series[3]))
    for a in range(len(r)):
        first, last = rows[a]
        row = _row_overlaps(x[first:last], y[first:last], o[first:last], x[a], y[a], series)
        for c in range(3):
            overlaps[order[a], c] = row[c]


@numba.njit(**_FLAGS)
def atom_changes(r, occupancy, series, changes):
    """changes (n, 3, 5): overlaps with the model's change with (s_x, s_y, w_x, w_y, w_z) of every atom's change along
    x and y, and of the atom itself."""
    atoms = np.empty((4, len(r)), np.float32)
    order = _sorted(r, occupancy, atoms)
    x, y, z, o = atoms[0], atoms[1], atoms[2], atoms[3]
    rows = _partners(x, np.sqrt(series[3]))
    for a in range(len(r)):
        first, last = rows[a]
        _row_changes(
            x[first:last], y[first:last], z[first:last], o[first:last], x[a], y[a], series, changes[order[a]]
        )
