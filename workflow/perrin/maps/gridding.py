"""Fourier gridding: central slices spread onto a padded Fourier grid by a compact kernel.

Each plane of the grid is filled by one task that walks through the frames in order, so every voxel adds
up its samples in the same order whatever the number of threads: the sum is the same to the last bit.
"""

import numba
import numpy as np

from perrin.imaging.fourier import centred_irfftn, kaiser_bessel
from perrin.imaging.slices import STEPS, padded_size, weight_at

HALF_WIDTH = 1.5  # padded voxels, published
BETA = 7.4  # published for this half-width
BLOCK = 4  # neighbouring planes of one task
TASKS = 32


@numba.njit(parallel=True, fastmath=True, cache=True)
def _spread(values, frame_weight, axes, k, pairs, table, taps, steps, normalise, reach, sums, density):
    half = taps / 2
    for task in numba.prange(TASKS):
        wx = np.empty(taps, np.float32)
        wy = np.empty(taps, np.float32)
        wz = np.empty(taps, np.float32)
        for f in range(len(axes)):
            a = axes[f]
            for i in range(len(k)):
                qz = a[0, 2] * k[i, 0] + a[1, 2] * k[i, 1]
                qx = a[0, 0] * k[i, 0] + a[1, 0] * k[i, 1]
                sign = 1.0 if qx >= 0 else -1.0
                qz *= sign
                z0 = int(np.ceil(qz - half))
                first, last = (reach + z0) // BLOCK % TASKS, (reach + z0 + taps - 1) // BLOCK % TASKS
                if task != first and task != last:
                    continue
                qx *= sign
                qy = (a[0, 1] * k[i, 0] + a[1, 1] * k[i, 1]) * sign
                x0, y0 = int(np.ceil(qx - half)), int(np.ceil(qy - half))
                total_x = total_y = total_z = np.float32(0.0)
                for j in range(taps):
                    wx[j] = weight_at(table, abs(qx - (x0 + j)) * steps)
                    wy[j] = weight_at(table, abs(qy - (y0 + j)) * steps)
                    wz[j] = weight_at(table, abs(qz - (z0 + j)) * steps)
                    total_x += wx[j]
                    total_y += wy[j]
                    total_z += wz[j]
                weight = frame_weight[f] * pairs[i]
                if normalise:
                    weight /= total_x * total_y * total_z
                real, imag = values[f, i].real, np.float32(sign) * values[f, i].imag
                for jz in range(taps):
                    z = reach + z0 + jz
                    if z // BLOCK % TASKS != task:
                        continue
                    for jy in range(taps):
                        w = weight * wz[jz] * wy[jy]
                        y = reach + y0 + jy
                        for jx in range(taps):
                            x = taps + x0 + jx
                            sums[z, y, x] += complex(w * wx[jx] * real, w * wx[jx] * imag)
                            density[z, y, x] += w * wx[jx]


def spread(coefficients, weights, rotations, plane, size, taps, table, normalise):
    """Slices onto the half grid (x >= 0) of a map padded to size voxels.

    coefficients : (f, m) complex64 of `plane`, shifts already undone
    weights : (f,) weight of each frame
    table : kernel at distances of 1 / STEPS padded voxels
    normalise : whether each sample's weights add up to one, as published
    returns sums (size, size, size // 2 + 1) complex64 and density float32, in the order of rfftn
    """
    reach = size // 2 + taps
    shape = (2 * reach + 1, 2 * reach + 1, reach + taps + 1)
    sums, density = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
    axes = np.asarray(rotations, float)[:, :2] * (size / plane.n)
    pairs = (plane.weight / 2).astype(np.float32)
    _spread(
        np.ascontiguousarray(coefficients, np.complex64),
        np.asarray(weights, np.float32),
        axes,
        plane.k,
        pairs,
        table,
        taps,
        float(STEPS),
        normalise,
        reach,
        sums,
        density,
    )
    return _folded(sums, size, reach, taps), _folded(density, size, reach, taps)


def _folded(grid, size, reach, taps):
    """The rfftn half of a grid whose left margin holds the mates of samples near x = 0."""
    grid[:, :, taps : 2 * taps + 1] += grid[::-1, ::-1, taps::-1].conj()
    order = (np.arange(size) + size // 2) % size - size // 2 + reach
    return np.ascontiguousarray(grid[np.ix_(order, order, np.arange(size // 2 + 1) + taps)])


def gridded(coefficients, weights, rotations, plane, pixel_A, floor=1e-6, ridge=0.0):
    """Map (n, n, n) by the published gridding: Kaiser-Bessel, half-width 1.5 padded voxels, F / rho.

    floor : sampling density below which a coefficient is zero
    ridge : added to the density, as a share of its mean over the sampled ball (published: none)
    """
    n = plane.n
    size = padded_size(n)
    taps = round(2 * HALF_WIDTH)
    distance = np.arange(taps * STEPS // 2 + 2) / STEPS
    table = kaiser_bessel(distance, HALF_WIDTH, BETA).astype(np.float32)
    sums, density = spread(coefficients, weights, rotations, plane, size, taps, table, True)
    seen = density > floor
    density += ridge * density[seen].mean() if seen.any() else 0
    spectrum = np.where(seen, sums / np.where(seen, density, 1), 0)
    return centred_irfftn(spectrum, size, n) / pixel_A
