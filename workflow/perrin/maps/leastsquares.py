"""Least-squares maps: the two operators, and the solution of their normal equations.

The map whose projections are nearest to the frames solves T map = b, b the frames smeared back through the box
and T a convolution with the sampling's point spread (Wajer and Pruessmann 2001): after two non-uniform
Fourier transforms the work no longer depends on the number of frames.
"""

from concurrent.futures import ThreadPoolExecutor

import finufft
import numba
import numpy as np
from scipy import fft

from perrin.files.errors import InputError
from perrin.imaging.fourier import centred_irfftn, centred_rfftn, half_plane, image_coefficients, shift_phases
from perrin.imaging.rotations import matrices
from perrin.imaging.slices import padded_size

POINTS = 3_000_000  # samples of one transform: bounds the memory at about 150 MB
ACCURACY = 1e-4


def _chunks(frames, samples):
    count = max(1, -(-frames * samples // POINTS))
    edges = np.linspace(0, frames, count + 1).astype(int)
    return [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if b > a]


def _type1(rotations, plane, modes, strengths, frames):
    """Sum over chunks of frames of the adjoint transforms onto modes^3; strengths(part) -> (f, m)."""

    def one(part):
        turned = np.ascontiguousarray(rotations[part, :2] * (2 * np.pi / plane.n), np.float32)
        k = plane.k.astype(np.float32)
        points = [(k @ turned[:, :, axis].T).T.ravel() for axis in (2, 1, 0)]
        values = np.ascontiguousarray(strengths(part), np.complex64).ravel()
        # one thread a call and a fixed cut into calls: the result does not depend on the threads
        out = finufft.nufft3d1(
            *points, values, (modes,) * 3, eps=ACCURACY, isign=1, nthreads=1, upsampfac=1.25
        )
        return out.real

    total = np.zeros((modes,) * 3, np.float64)
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        for part in pool.map(one, _chunks(frames, len(plane))):
            total += part
    return total


def frame_weights(poses, weights):
    """(f,) float64 weights, all 1 where None is given."""
    weights = np.ones(len(poses)) if weights is None else np.asarray(weights, float)
    if weights.shape != (len(poses),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(f"reconstruct needs one finite weight >= 0 for each of the {len(poses)} poses")
    return weights


def turned_back(images, poses, plane, pixel_A):
    """(f, m) coefficients of the frames with the body's origin moved to the centre."""
    phases = shift_phases(plane, -np.asarray(poses.shift_A) / pixel_A)
    return image_coefficients(images, plane) * phases


def adjoint(images, poses, pixel_A, weights=None, band=None, side=None):
    """The adjoint of `perrin.imaging.slices.project`: frames smeared back through the box, (n, n, n) float64.

    weights : (f,) factor on each frame
    side : voxels of the central cube that is wanted, None for the whole box
    """
    n = images.shape[-1]
    plane = half_plane(n, pixel_A, band)
    weights = frame_weights(poses, weights)

    def strengths(part):
        values = turned_back(images[part], poses.take(part), plane, pixel_A)
        return values * (weights[part, None] * plane.weight)

    smeared = _type1(matrices(poses.quaternion), plane, side or n, strengths, len(poses))
    return smeared * (pixel_A / n**2)


def point_spread(poses, n, pixel_A, weights=None, band=None, side=None):
    """What projecting and smearing back makes of one voxel: (2 side - 1)^3 float64, its centre at side - 1.

    adjoint(project(map)) is the convolution of the map with it, exactly, for a map within a cube of `side`
    voxels (None: the box of the frames, n).
    """
    plane = half_plane(n, pixel_A, band)
    weights = frame_weights(poses, weights)

    def strengths(part):
        return weights[part, None] * plane.weight

    spread = _type1(matrices(poses.quaternion), plane, 2 * (side or n) - 1, strengths, len(poses))
    return spread * (pixel_A**2 / n**2)


def _radius(size, n):
    """Radius of every coefficient of the padded half grid, in shells of the box."""
    axis = fft.fftfreq(size, 1 / n)
    return np.sqrt(
        np.square(axis)[:, None, None] + np.square(axis)[:, None] + np.square(fft.rfftfreq(size, 1 / n))
    )


def ridge_spectrum(sampling, n, ridge):
    """A share of the mean sampling of each shell; beyond Nyquist, that of the last shell.

    sampling : (size, size, size // 2 + 1) sampling of the coefficients of the padded map, order of rfftn
    """
    radius = _radius(sampling.shape[0], n)
    inside = radius < n / 2 - 0.5
    shell = np.minimum(np.rint(radius), n // 2 - 1).astype(np.int32)
    count = np.bincount(shell[inside], None, n // 2)
    mean = np.bincount(shell[inside], sampling[inside], n // 2) / np.maximum(count, 1)
    # a band leaves whole shells unseen: they get the ridge of the others, and go to zero
    mean = np.where(mean > 1e-3 * mean.max(), mean, mean.max())
    return (ridge * mean).astype(np.float32)[shell]


def least_squares(smeared, spread, ridge, support, iterations):
    """The map within a support that fits its frames best, float32.

    smeared : (n, n, n) from `adjoint`; spread : (2n - 1)^3 from `point_spread`
    ridge : share of each shell's mean sampling, see `reconstruct`
    support : (n, n, n) of 0..1
    Preconditioned conjugate gradients on support (T + ridge) support u = support b; returns support u.
    """
    n = smeared.shape[0]
    size = padded_size(n)
    # tapered by a triangle the spectrum is a local mean of the sampling: positive, the natural divisor
    taper = 1 - np.abs(np.arange(1 - n, n)) / n
    density = centred_rfftn(spread * (taper[:, None, None] * taper[:, None] * taper), size).real
    penalty = ridge_spectrum(density, n, ridge)
    inverse = 1 / (np.maximum(density, 0) + penalty)
    operator = centred_rfftn(spread, size).real + penalty

    def apply(spectrum, volume):
        return centred_irfftn(centred_rfftn(volume, size) * spectrum, size, n)

    residual = (support * smeared).astype(np.float32)
    u = support * apply(inverse, residual)
    residual = residual - support * apply(operator, support * u)
    step, last = np.zeros_like(u), np.inf
    for _ in range(iterations):
        turned = support * apply(inverse, residual)
        now = float(np.vdot(residual, turned))
        if now <= 0:
            break
        step = turned + now / last * step
        moved = support * apply(operator, support * step)
        length = now / float(np.vdot(step, moved))
        u += length * step
        residual -= length * moved
        last = now
    return support * u
