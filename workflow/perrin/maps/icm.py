"""Iterated conditional modes on the half maps (the paper's Algorithm 1), in closed form.

Each voxel takes the grey level x of 0..255 that minimises

    E(x) = (p - x)^2 / (2 v) + lam * sum_j (x - y_j)^2

p its present level, y_j its n face neighbours, v the local noise. E is a parabola around
x* = (p + 2 v lam S) / (1 + 2 v lam n), S = sum y_j, so the best level is the integer nearest to x*, a half
going down as in an ascending search; x* lies between the smallest and the largest of p and y_j, so no
clipping is needed. (The paper prints "maximize" and a plus sign before the cross term; with those every voxel
would run away from its neighbours.)

Variants:
- "published": the text. v is the local standard deviation of odd - even in grey levels (the printed
  denominator is 2 sigma), voxels are updated one after the other in place. The text fixes neither the
  neighbourhood nor the number of sweeps: 6 faces and 3 sweeps, as in the program.
- "program": as the authors' program runs. v is the local variance rescaled to mean 5, sd 2 over the box, all
  voxels read the sweep before.
- "anchored": no grey levels; p stays the measured density in all sweeps, v is the local noise variance of a
  half over the signal's variance, so that lam has no unit and the box size does not matter. Solves
  (1 + 2 v lam L) x = p, L the graph Laplacian, by red-black sweeps.
"""

import numba
import numpy as np
from scipy import ndimage

from perrin.files.errors import InputError
from perrin.files.records import Map

LEVELS = 256
SWEEPS = 3
VARIANTS = ("published", "program", "anchored")


# The kernels work on arrays with a border of zeros: sums over neighbours need no test, their number is known.


def _bordered(data):
    return np.pad(data, 1)


@numba.njit(cache=True, inline="always")
def _count(index, length):
    """How many neighbours along one axis lie inside the box (index from 1)."""
    return 2 - (index == 1) - (index == length)


@numba.njit(cache=True, inline="always")
def _face_sum(x, z, y, c):
    return x[z - 1, y, c] + x[z + 1, y, c] + x[z, y - 1, c] + x[z, y + 1, c] + x[z, y, c - 1] + x[z, y, c + 1]


@numba.njit(cache=True, parallel=True)
def _jacobi(old, pull, new):
    nz, ny, nx = pull.shape
    for z in numba.prange(1, nz + 1):
        for y in range(1, ny + 1):
            base = _count(z, nz) + _count(y, ny)
            for c in range(1, nx + 1):
                t = float(pull[z - 1, y - 1, c - 1])
                total = _face_sum(old, z, y, c)
                new[z, y, c] = int(
                    np.ceil((old[z, y, c] + t * total) / (1.0 + t * (base + _count(c, nx))) - 0.5)
                )


@numba.njit(cache=True)
def _in_place(x, pull):
    nz, ny, nx = pull.shape
    rest, share = np.empty(nx), np.empty(nx)
    for z in range(1, nz + 1):
        for y in range(1, ny + 1):
            base = _count(z, nz) + _count(y, ny)
            # everything but the neighbour that has just changed, first: that loop has no chain
            for c in range(1, nx + 1):
                t = float(pull[z - 1, y - 1, c - 1])
                gain = 1.0 / (1.0 + t * (base + _count(c, nx)))
                rest[c - 1] = (x[z, y, c] + t * (_face_sum(x, z, y, c) - x[z, y, c - 1])) * gain - 0.5
                share[c - 1] = t * gain
            before = 0.0
            for c in range(nx):
                before = np.ceil(rest[c] + share[c] * before)
                x[z, y, c + 1] = int(before)


@numba.njit(cache=True, parallel=True)
def _red_black(x, data, pull, colour):
    nz, ny, nx = pull.shape
    for z in numba.prange(1, nz + 1):
        for y in range(1, ny + 1):
            base = _count(z, nz) + _count(y, ny)
            for c in range(1 + (z + y + colour) % 2, nx + 1, 2):
                t = pull[z - 1, y - 1, c - 1]
                total = _face_sum(x, z, y, c)
                x[z, y, c] = (data[z - 1, y - 1, c - 1] + t * total) / (1 + t * (base + _count(c, nx)))


@numba.njit(cache=True)
def _levels(data, low, scale, levels, count, total):
    for i in range(len(data)):
        level = int(np.rint((data[i] - low) * scale))
        levels[i] = level
        count[level] += 1
        total[level] += data[i]


def quantise(data):
    """Grey levels 0..255 (int16) of a map between its extremes, and the map's value of each level.

    A level's value is the mean of its voxels; that of an empty level is interpolated between its neighbours.
    """
    data = np.ascontiguousarray(data, np.float32)
    low, high = float(data.min()), float(data.max())
    levels = np.zeros(data.shape, np.int16)
    if high == low:
        return levels, np.full(LEVELS, low)
    count, total = np.zeros(LEVELS), np.zeros(LEVELS)
    _levels(data.ravel(), low, (LEVELS - 1) / (high - low), levels.reshape(-1), count, total)
    filled = count > 0
    return levels, np.interp(np.arange(LEVELS), np.flatnonzero(filled), total[filled] / count[filled])


@numba.njit(cache=True, parallel=True, fastmath=True)
def _face_variance(noise, out):
    nz, ny, nx = out.shape
    for z in numba.prange(1, nz + 1):
        for y in range(1, ny + 1):
            base = _count(z, nz) + _count(y, ny)
            for c in range(1, nx + 1):
                count = np.float32(base + _count(c, nx))
                total = _face_sum(noise, z, y, c)
                squares = (
                    noise[z - 1, y, c] ** 2
                    + noise[z + 1, y, c] ** 2
                    + noise[z, y - 1, c] ** 2
                    + noise[z, y + 1, c] ** 2
                    + noise[z, y, c - 1] ** 2
                    + noise[z, y, c + 1] ** 2
                )
                out[z - 1, y - 1, c - 1] = max(squares - total * total / count, np.float32(0)) / (count - 1)


def face_variance(noise):
    """Sample variance of each voxel's face neighbours (six, fewer at the border; itself left out), float32."""
    out = np.empty(noise.shape, np.float32)
    _face_variance(_bordered(np.asarray(noise, np.float32)), out)
    return out


def program_noise(noise):
    """The program's v: face variance brought to mean 5 and standard deviation 2 over the box, not below 0."""
    variance = face_variance(noise)
    spread = float(variance.std(dtype=np.float64))
    if spread == 0:
        return np.full(noise.shape, 5, np.float32)
    return np.maximum((variance - variance.mean(dtype=np.float64)) * (2 / spread) + 5, 0).astype(np.float32)


def _levels_icm(data, pull, sweeps, in_place):
    levels, table = quantise(data)
    levels = _bordered(levels)
    other = levels.copy()
    for _ in range(sweeps):
        if in_place:
            _in_place(levels, pull)
        else:
            _jacobi(levels, pull, other)
            levels, other = other, levels
    return table.astype(np.float32)[levels[1:-1, 1:-1, 1:-1]]


def _anchored(data, pull, sweeps):
    x = _bordered(data)
    for _ in range(sweeps):
        _red_black(x, data, pull, 0)
        _red_black(x, data, pull, 1)
    return np.ascontiguousarray(x[1:-1, 1:-1, 1:-1])


def icm(even, odd, lam=0.1, variant="published", mask=None, sweeps=SWEEPS, window=5):
    """Regularise two half maps, each by itself, with the noise that their difference shows.

    even, odd : Map
    lam : weight of the neighbours
    variant : "published", "program", "anchored" (see the module)
    mask : (n, n, n) or None, multiplied onto both maps first
    sweeps : passes over the map
    window : side of the cube, voxels, over which "anchored" averages the noise
    returns two Map
    """
    if variant not in VARIANTS:
        raise InputError(f"icm has no variant {variant!r}: {', '.join(VARIANTS)}")
    halves = [
        np.ascontiguousarray(m.data if mask is None else m.data * mask, np.float32) for m in (even, odd)
    ]
    noise = halves[1] - halves[0]
    if variant == "anchored":
        variance = ndimage.uniform_filter(np.square(noise) / 2, window, mode="nearest")
        inside = np.ones(noise.shape, bool) if mask is None else mask > 0.5
        signal = float(np.cov(halves[0][inside], halves[1][inside])[0, 1])
        pull = (2 * lam / max(signal, 1e-6 * float(variance.mean()) + 1e-30) * variance).astype(np.float32)
        return tuple(Map(_anchored(half, pull, sweeps), even.pixel_A) for half in halves)
    found = []
    v = program_noise(noise) if variant == "program" else np.sqrt(face_variance(noise))
    for half in halves:
        pull = np.float32(2 * lam) * v
        if variant == "published":
            step = float(half.max() - half.min()) / (LEVELS - 1)
            pull *= np.float32(1 / step if step > 0 else 0)
        found.append(Map(_levels_icm(half, pull, sweeps, variant == "published"), even.pixel_A))
    return tuple(found)
