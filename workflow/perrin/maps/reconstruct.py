"""Maps from frames whose poses are known, of all frames or of halves of them."""

import numpy as np

from perrin.files.errors import InputError
from perrin.files.records import Map
from perrin.imaging.fourier import half_plane
from perrin.imaging.rotations import matrices
from perrin.maps.gridding import gridded
from perrin.maps.leastsquares import adjoint, frame_weights, least_squares, point_spread, turned_back
from perrin.maps.mask import soft_sphere

METHODS = ("nufft", "gridding")


def reconstruct(
    images,
    poses,
    pixel_A,
    weights=None,
    method="nufft",
    ridge=0.2,
    mask_radius_A=None,
    band=None,
    iterations=3,
    amplitudes=True,
):
    """The map of frames with known poses.

    images : (f, n, n) float32, atoms bright, noise of unit variance
    poses : Poses, one a frame (row i belongs to images[i])
    weights : (f,) weight of each frame in the sum of squares, for instance `perrin.maps.weights.certainty`;
        None: all 1
    method : "nufft", least squares with a ridge; "gridding", as published (Kaiser-Bessel, F / density)
    ridge : share of the mean sampling (of the shell; for gridding, of all) that is added to the sampling of each
        coefficient: where Fourier space was seen less than that, the map goes to zero. Published: 0
    mask_radius_A : soft spherical support; None: the sphere that fits the box
    band : (longest, shortest) period, angstrom, None for everything up to Nyquist
    iterations : conjugate-gradient steps after the division by the sampling density
    amplitudes : whether each frame's projection is scaled by its pose's amplitude
    returns Map, units of the image per angstrom (`project` of it gives images back)
    """
    every = np.ones(len(poses), bool)
    options = (weights, method, ridge, mask_radius_A, band, iterations, amplitudes)
    return _maps(images, poses, pixel_A, [every], *options)[0]


def reconstruct_sets(
    images,
    poses,
    pixel_A,
    sets,
    weights=None,
    method="nufft",
    ridge=0.2,
    mask_radius_A=None,
    band=None,
    iterations=3,
    amplitudes=True,
):
    """The map of all frames, and maps of disjoint sets of them; least squares shares the transforms.

    sets : two or more bool masks (f,), for instance from `perrin.maps.halves.half_sets`
    other arguments : as of `reconstruct`
    returns list of Map: of the frames in any set, then of each set
    """
    sets = [np.asarray(chosen, bool) for chosen in sets]
    if len(sets) < 2 or np.sum(sets, axis=0).max() > 1 or not all(chosen.any() for chosen in sets):
        raise InputError("reconstruct_sets needs two or more sets of frames, disjoint and not empty")
    options = (weights, method, ridge, mask_radius_A, band, iterations, amplitudes)
    return _maps(images, poses, pixel_A, sets, *options)


def _maps(images, poses, pixel_A, sets, weights, method, ridge, mask_radius_A, band, iterations, amplitudes):
    """Of all frames in any set (where there are several), then of each set."""
    if method not in METHODS:
        raise InputError(f"reconstruct has no method {method!r}: {' or '.join(METHODS)}")
    images, weights, gain = _checked(images, poses, weights, amplitudes)
    n = images.shape[-1]
    radius = n / 2 * pixel_A if mask_radius_A is None else mask_radius_A
    support = soft_sphere(n, pixel_A, radius)
    several = len(sets) > 1
    if method == "gridding":
        every = [np.any(sets, axis=0)] if several else []
        return [
            Map(
                _gridded(images[rows], poses.take(rows), pixel_A, weights[rows], gain[rows], ridge, band)
                * support,
                pixel_A,
            )
            for rows in every + sets
        ]
    side, inner = _cube(n, pixel_A, radius)
    sums = []
    for rows in sets:
        chosen, w, a = poses.take(rows), weights[rows], gain[rows]
        smeared = adjoint(images[rows], chosen, pixel_A, w * a, band, side)
        sums.append((smeared, point_spread(chosen, n, pixel_A, w * a**2, band, side)))
    if several:
        sums.insert(0, tuple(sum(parts) for parts in zip(*sums, strict=True)))
    maps = []
    for smeared, spread in sums:
        data = np.zeros((n,) * 3, np.float32)
        data[inner] = least_squares(smeared, spread, ridge, support[inner], iterations)
        maps.append(Map(data, pixel_A))
    return maps


def _checked(images, poses, weights, amplitudes):
    """Frames as float32, their weights, and the gain of each frame's projection."""
    images = np.asarray(images, np.float32)
    if images.ndim != 3 or images.shape[1] != images.shape[2] or len(images) != len(poses) or not len(poses):
        raise InputError(
            f"reconstruct needs square frames and one pose each, got images {images.shape}, {len(poses)} poses"
        )
    gain = np.asarray(poses.amplitude, float) if amplitudes else np.ones(len(poses))
    if not np.isfinite(gain).all() or not gain.any():
        raise InputError(
            "reconstruct needs finite amplitudes of the poses, not all zero (or amplitudes=False)"
        )
    return images, frame_weights(poses, weights), gain


def _cube(n, pixel_A, radius_A):
    """Side and place of the cube around a support: outside it the map is zero and need not be solved for."""
    side = min(n, 2 * int(radius_A / pixel_A) + 2)
    corner = n // 2 - side // 2
    return side, (slice(corner, corner + side),) * 3


def _gridded(images, poses, pixel_A, weights, gain, ridge, band):
    plane = half_plane(images.shape[-1], pixel_A, band)
    seen = gain != 0
    values = turned_back(images[seen], poses.take(seen), plane, pixel_A) / gain[seen, None]
    rotations = matrices(poses.quaternion[seen])
    return gridded(values, (weights * gain**2)[seen], rotations, plane, pixel_A, ridge=ridge)
