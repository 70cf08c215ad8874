"""Sums over a frame's Fourier coefficients that a step of least squares on its pose needs, without storing slices.

For a frame F and the slice M = S(R) of a map, with the frame moved back by its shift s, all that the score, the
gradient and the normal matrix take are scalar products of F, M and the derivatives of M in the rotation
R <- exp([w]) R:

    dM/dw_x = -ky Z    dM/dw_y = kx Z    dM/dw_z = T = ky X - kx Y

with X, Y, Z the derivatives of the map's transform along the microscope's axes; those in the shift are M times
-2 pi i k. The derivatives are those of the interpolating kernel itself, from the same samples of the transform as M.
"""

from dataclasses import dataclass

import numba
import numpy as np

from perrin.imaging.slices import STEPS

SUMS = 24
BLOCK = 256  # coefficients at once: what is kept of them stays in the first cache


@dataclass(frozen=True)
class Products:
    """Weighted real scalar products for c poses: data d, model m, its derivatives b (w_x, w_y, w_z, s_x, s_y).

    md, mm : (c,); bd, bm : (c, 5); bb : (c, 5, 5); float64
    """

    md: np.ndarray
    mm: np.ndarray
    bd: np.ndarray
    bm: np.ndarray
    bb: np.ndarray

    def put(self, chosen, other):
        """Take over the rows `chosen` (mask) of another."""
        for name in ("md", "mm", "bd", "bm", "bb"):
            getattr(self, name)[chosen] = getattr(other, name)[chosen]


def _kernel(sample):
    """The kernel with the function that takes value and derivatives from the transform."""

    @numba.njit(parallel=True, fastmath=True, cache=True)
    def kernel(data, origin, table, steps, rotation, turns, k, root, frames, rows, out):
        count = len(k)
        reach = 0
        for i in range(count):
            reach = max(reach, abs(k[i, 0]), abs(k[i, 1]))
        for c in numba.prange(len(rows)):
            a = rotation[c]
            # factors that move the frame back to the centre, for each row and column of the plane
            wave = np.empty((2, 2 * reach + 1, 2), np.float32)
            for axis in range(2):
                for j in range(2 * reach + 1):
                    angle = 2 * np.pi * turns[c, axis] * (j - reach)
                    wave[axis, j, 0], wave[axis, j, 1] = np.cos(angle), np.sin(angle)
            v = np.empty((10, BLOCK), np.float32)
            frame = frames[rows[c]]
            lab = a.astype(np.float32)
            out[c] = 0
            for first in range(0, count, BLOCK):
                some = min(BLOCK, count - first)
                for j in range(some):
                    i = first + j
                    x, y = float(k[i, 0]), float(k[i, 1])
                    qx = a[0, 0] * x + a[1, 0] * y
                    qy = a[0, 1] * x + a[1, 1] * y
                    qz = a[0, 2] * x + a[1, 2] * y
                    sign = np.float32(1.0)
                    if qx < 0:
                        qx, qy, qz, sign = -qx, -qy, -qz, np.float32(-1.0)
                    m_re, m_im, gx_re, gx_im, gy_re, gy_im, gz_re, gz_im = sample(
                        data, qx + origin[2], qy + origin[1], qz + origin[0], table, steps
                    )
                    # the other half of the transform is the conjugate: its derivatives have the opposite sign as well
                    r, conj = root[i], sign * root[i]
                    v[0, j], v[1, j] = r * m_re, conj * m_im
                    v[2, j], v[3, j] = conj * gx_re, r * gx_im
                    v[4, j], v[5, j] = conj * gy_re, r * gy_im
                    v[6, j], v[7, j] = conj * gz_re, r * gz_im
                    p, q = wave[0, k[i, 0] + reach], wave[1, k[i, 1] + reach]
                    re, im = p[0] * q[0] - p[1] * q[1], p[0] * q[1] + p[1] * q[0]
                    v[8, j] = r * (frame[2 * i] * re - frame[2 * i + 1] * im)
                    v[9, j] = r * (frame[2 * i] * im + frame[2 * i + 1] * re)
                _add_up(v, k[first : first + some], lab, out[c])

    return kernel


@numba.njit(inline="always", fastmath=True)
def _pair(line, x, f):
    """Between two complex neighbours along x: value and slope, (re, im, re, im)."""
    a, b, c, d = line[x], line[x + 1], line[x + 2], line[x + 3]
    return a + f * (c - a), b + f * (d - b), c - a, d - b


@numba.njit(inline="always", fastmath=True)
def _trilinear(data, qx, qy, qz, table, steps):
    """Value and the derivatives along x, y, z of the transform at a place, complex numbers as (re, im)."""
    x0, y0, z0 = int(qx), int(qy), int(qz)  # places are positive
    fx, fy, fz = np.float32(qx - x0), np.float32(qy - y0), np.float32(qz - z0)
    near, far = data[z0], data[z0 + 1]
    a_re, a_im, ax_re, ax_im = _pair(near[y0], 2 * x0, fx)
    b_re, b_im, bx_re, bx_im = _pair(near[y0 + 1], 2 * x0, fx)
    c_re, c_im, cx_re, cx_im = _pair(far[y0], 2 * x0, fx)
    d_re, d_im, dx_re, dx_im = _pair(far[y0 + 1], 2 * x0, fx)
    ab_re, ab_im, cd_re, cd_im = b_re - a_re, b_im - a_im, d_re - c_re, d_im - c_im
    low_re, low_im, high_re, high_im = (
        a_re + fy * ab_re,
        a_im + fy * ab_im,
        c_re + fy * cd_re,
        c_im + fy * cd_im,
    )
    s_re, s_im = ax_re + fy * (bx_re - ax_re), ax_im + fy * (bx_im - ax_im)
    t_re, t_im = cx_re + fy * (dx_re - cx_re), cx_im + fy * (dx_im - cx_im)
    return (
        low_re + fz * (high_re - low_re), low_im + fz * (high_im - low_im),
        s_re + fz * (t_re - s_re), s_im + fz * (t_im - s_im),
        ab_re + fz * (cd_re - ab_re), ab_im + fz * (cd_im - ab_im),
        high_re - low_re, high_im - low_im,
    )  # fmt: skip


@numba.njit(fastmath=True, cache=True)
def _kaiser_bessel(data, qx, qy, qz, table, steps):
    """The same with the kernel of four samples a side."""
    x0, y0, z0 = int(np.ceil(qx)) - 2, int(np.ceil(qy)) - 2, int(np.ceil(qz)) - 2
    w, d = np.empty((3, 4), np.float32), np.empty((3, 4), np.float32)
    for j in range(4):
        w[0, j], d[0, j] = _weight_and_slope(table, qx - (x0 + j), steps)
        w[1, j], d[1, j] = _weight_and_slope(table, qy - (y0 + j), steps)
        w[2, j], d[2, j] = _weight_and_slope(table, qz - (z0 + j), steps)
    m_re = m_im = gx_re = gx_im = gy_re = gy_im = gz_re = gz_im = np.float32(0)
    for jz in range(4):
        for jy in range(4):
            line = data[z0 + jz, y0 + jy]
            l_re = l_im = s_re = s_im = np.float32(0)
            for j in range(4):
                re, im = line[2 * (x0 + j)], line[2 * (x0 + j) + 1]
                l_re += w[0, j] * re
                l_im += w[0, j] * im
                s_re += d[0, j] * re
                s_im += d[0, j] * im
            both, along_y, along_z = w[2, jz] * w[1, jy], w[2, jz] * d[1, jy], d[2, jz] * w[1, jy]
            m_re += both * l_re
            m_im += both * l_im
            gx_re += both * s_re
            gx_im += both * s_im
            gy_re += along_y * l_re
            gy_im += along_y * l_im
            gz_re += along_z * l_re
            gz_im += along_z * l_im
    return m_re, m_im, gx_re, gx_im, gy_re, gy_im, gz_re, gz_im


@numba.njit(inline="always")
def _weight_and_slope(table, distance, steps):
    """Kernel at a distance in samples and its derivative there."""
    position = abs(distance) * steps
    entry = int(position)
    slope = table[entry + 1] - table[entry]
    value = table[entry] + np.float32(position - entry) * slope
    return value, (slope if distance > 0 else -slope) * np.float32(steps)


@numba.njit(fastmath=True, cache=True)
def _add_up(v, k, a, out):
    """Add to the 24 sums of a pose those over a block of coefficients k, from their values v."""
    md = mm = mx = my = nx = ny = np.float32(0)
    sxx = sxy = syy = zxx = zxy = zyy = np.float32(0)
    tt = zt_x = zt_y = zm_xx = zm_xy = zm_yy = np.float32(0)
    tm_x = tm_y = dz_x = dz_y = dt = mt = np.float32(0)
    for i in range(len(k)):
        x, y = np.float32(k[i, 0]), np.float32(k[i, 1])
        m_re, m_im, d_re, d_im = v[0, i], v[1, i], v[8, i], v[9, i]
        z_re = a[2, 0] * v[2, i] + a[2, 1] * v[4, i] + a[2, 2] * v[6, i]
        z_im = a[2, 0] * v[3, i] + a[2, 1] * v[5, i] + a[2, 2] * v[7, i]
        # T = ky X - kx Y
        tx, ty, tz = y * a[0, 0] - x * a[1, 0], y * a[0, 1] - x * a[1, 1], y * a[0, 2] - x * a[1, 2]
        t_re = tx * v[2, i] + ty * v[4, i] + tz * v[6, i]
        t_im = tx * v[3, i] + ty * v[5, i] + tz * v[7, i]
        md += m_re * d_re + m_im * d_im
        cross = m_re * d_im - m_im * d_re
        mx += x * cross
        my += y * cross
        square = m_re * m_re + m_im * m_im
        mm += square
        sxx += x * x * square
        sxy += x * y * square
        syy += y * y * square
        square = z_re * z_re + z_im * z_im
        zxx += x * x * square
        zxy += x * y * square
        zyy += y * y * square
        tt += t_re * t_re + t_im * t_im
        both = z_re * t_re + z_im * t_im
        zt_x += x * both
        zt_y += y * both
        both = z_re * m_im - z_im * m_re
        zm_xx += x * x * both
        zm_xy += x * y * both
        zm_yy += y * y * both
        both = t_re * m_im - t_im * m_re
        tm_x += x * both
        tm_y += y * both
        both = z_re * d_re + z_im * d_im
        dz_x += x * both
        dz_y += y * both
        dt += t_re * d_re + t_im * d_im
        both = z_re * m_re + z_im * m_im
        nx += x * both
        ny += y * both
        mt += t_re * m_re + t_im * m_im
    for j, value in enumerate(
        (md, mm, mx, my, sxx, sxy, syy, zxx, zxy, zyy, tt, zt_x, zt_y, zm_xx, zm_xy, zm_yy, tm_x, tm_y)
    ):
        out[j] += value
    for j, value in enumerate((dz_x, dz_y, dt, nx, ny, mt)):
        out[18 + j] += value


KERNEL = {2: _kernel(_trilinear), 4: _kernel(_kaiser_bessel)}


def products(coefficients, rows, transform, plane, weight, rotation, shift_A):
    """Scalar products of frames with slices of a map and their derivatives in the pose.

    coefficients : (f, m) complex64, of plane; rows (c,) : the frame of each pose; weight (m,) : of the sums
    transform : of `padded_transform`; rotation (c, 3, 3), shift_A (c, 2)
    returns Products; derivatives by radian and angstrom
    """
    n, pixel = plane.n, transform.pixel_A
    out = np.empty((len(rows), SUMS))
    axes = np.asarray(rotation, float) * (transform.size / transform.n)
    turns = np.asarray(shift_A, float) / (pixel * n)
    frames = np.ascontiguousarray(coefficients, np.complex64).view(np.float32)
    root = np.sqrt(weight).astype(np.float32)
    # poses with neighbouring views, one after the other, find what they read of the transform in the cache
    view = axes[:, 2] * (np.where(axes[:, 2, 2] < 0, -1, 1) / np.linalg.norm(axes[:, 2], axis=1))[:, None]
    order = np.lexsort(np.floor(view * 10).T)
    rows, axes, turns = np.asarray(rows, np.int64)[order], axes[order], turns[order]
    KERNEL[transform.taps](
        transform.data.view(np.float32), transform.origin, transform.table, float(STEPS), axes, turns, plane.k, root,
        frames, rows, out,
    )  # fmt: skip
    sums = np.empty_like(out)
    sums[order] = out
    md, mm, mx, my, sxx, sxy, syy, zxx, zxy, zyy, tt, zt_x, zt_y, zm_xx, zm_xy, zm_yy, tm_x, tm_y = sums.T[
        :18
    ]
    dz_x, dz_y, dt, nx, ny, mt = sums.T[18:]
    c = 2 * np.pi / (n * pixel)
    bd = np.stack([-dz_y, dz_x, dt, -c * mx, -c * my], 1)
    zero = np.zeros_like(mm)
    bm = np.stack([-ny, nx, mt, zero, zero], 1)
    upper = {
        (0, 0): zyy, (0, 1): -zxy, (1, 1): zxx, (2, 2): tt, (0, 2): -zt_y, (1, 2): zt_x,
        (3, 3): c * c * sxx, (3, 4): c * c * sxy, (4, 4): c * c * syy,
        (0, 3): -c * zm_xy, (0, 4): -c * zm_yy, (1, 3): c * zm_xx, (1, 4): c * zm_xy,
        (2, 3): c * tm_x, (2, 4): c * tm_y,
    }  # fmt: skip
    bb = np.empty((len(mm), 5, 5))
    for (i, j), value in upper.items():
        bb[:, i, j] = bb[:, j, i] = value
    return Products(np.array(md), np.array(mm), bd, bm, bb)
