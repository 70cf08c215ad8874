"""Projection matching: the pose of each frame by itself, against a map (as published).

Every frame is compared with projections along a coarse set of directions at all in-plane angles (and shifts, where
nothing is known of them); around the best three and the previous pose all directions of a fine set within 10
degrees follow; the best ten are refined continuously. All in a band of the Fourier plane, on a polar grid.
"""

import logging

import numba
import numpy as np
from scipy import fft
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from perrin.files.errors import InputError
from perrin.files.records import Poses
from perrin.imaging.fourier import half_plane, image_coefficients
from perrin.imaging.grids import fibonacci_sphere
from perrin.imaging.rotations import matrices, quaternions
from perrin.imaging.slices import TRILINEAR, padded_transform
from perrin.poses.map_fit import fit_poses, pose_facts
from perrin.poses.polar import (
    by_order,
    moved,
    norms,
    reference_spectra,
    ring_samples,
    ring_spectra,
    rings,
    turned_scores,
)
from perrin.progress import progress

log = logging.getLogger("perrin")

STEP = 512  # frames at once, for which fine references are made anew
FRAMES, DIRECTIONS = 64, 256  # compared at once: what is made of them stays in the cache
BLOCK = 2000  # fine references at once: bounds the memory
ROWS = 8192


def beam_rotations(directions):
    """(d, 3, 3) rotations that turn each direction of the body (unit vectors) onto the beam."""
    theta = np.arccos(np.clip(directions[:, 2], -1, 1))
    phi = np.arctan2(directions[:, 1], directions[:, 0])
    return Rotation.from_euler("ZY", np.c_[phi, theta]).inv().as_matrix()


def in_plane(angle):
    """(n, 3, 3) rotations about the beam, radians."""
    return Rotation.from_euler("Z", np.asarray(angle, float)[:, None]).as_matrix()


def shift_grid(reach_A, step_A):
    """(s, 2) shifts on a hexagonal grid within reach_A, the zero shift first."""
    if reach_A <= 0:
        return np.zeros((1, 2))
    m = int(np.ceil(2 * reach_A / step_A)) + 1
    i, j = np.meshgrid(np.arange(-m, m + 1), np.arange(-m, m + 1))
    points = step_A * np.stack([i + j / 2, j * np.sqrt(3) / 2], -1).reshape(-1, 2)
    length = np.linalg.norm(points, axis=1)
    points = points[length <= reach_A + 1e-9]
    return points[np.argsort(np.linalg.norm(points, axis=1), kind="stable")]


def centred_masked(images, shift_A, pixel_A, radius_A):
    """Frames with the body's origin moved to the centre, inside a soft disc, their mean outside taken off."""
    n = images.shape[-1]
    k = fft.fftfreq(n)
    turns = np.asarray(shift_A, float) / pixel_A
    phases = np.exp(
        2j * np.pi * (turns[:, 1, None, None] * k[:, None] + turns[:, 0, None, None] * fft.rfftfreq(n))
    )
    centred = fft.irfft2(fft.rfft2(np.asarray(images, np.float32)) * phases.astype(np.complex64), (n, n))
    axis = (np.arange(n) - n // 2) * pixel_A
    edge = np.clip((radius_A - np.hypot(axis[:, None], axis)) / (6 * pixel_A), 0, 1)
    disc = (0.5 - 0.5 * np.cos(np.pi * edge)).astype(np.float32)
    outside = 1 - disc
    background = np.sum(centred * outside, (1, 2)) / max(float(outside.sum()), 1.0)
    return ((centred - background[:, None, None]) * disc).astype(np.float32)


def match(
    images, density, poses=None, band_A=(3.0, 1.5), coarse=2000, fine=5000, peaks=0, cap_deg=10.0, top=40,
    mask_radius_A=None, shift_reach_A=None, shift_step_A=0.5, limit_A=1.8, refine=6, weighting="polar",
    angle_step_px=2.0, amplitude=None,
):  # fmt: skip
    """The pose of each frame by itself against a map.

    images : (f, n, n) float32, noise of unit variance; density : Map of the same box, atoms positive
    poses : Poses from before, or None; their shifts are where the search starts, and their orientations compete
    band_A : (longest, shortest) period of the comparison, angstrom; published: 3.0 to 1.5, later to 1.0
    coarse, fine : numbers of directions, on spirals (published 500 and 20,000)
    peaks : coarse directions whose neighbourhoods, cap_deg about, are searched finely (published 3); 0: none.
        500 coarse directions are too few to rank the right one among the first three in a third of the frames
        of a 20 angstrom particle; refining the best 40 of 2,000 is surer and no slower
    top : candidates that are refined (published 10); refine : Gauss-Newton steps
    mask_radius_A : soft disc about the particle; None: what fits the box
    shift_reach_A, shift_step_A : shifts of the coarse search; None: 0 with poses, 1 angstrom without
    limit_A : largest shift from where the search starts (published 5 px)
    angle_step_px : in-plane angles differ by so much at the mask's rim (published 1)
    weighting : "polar", rings alike (published), or "area"
    amplitude : None, normalised correlation (published), which a direction of few strong spots wins by chance; or
        the factor on the map's projections, one for all frames: likelihood of white noise of unit variance
        (weighting is then "area")
    returns Poses (amplitude: of the map's projection; sigma_deg: Cramer-Rao bound), correlation (f,) in the band
    """
    n, pixel = density.data.shape[0], density.pixel_A
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1:] != (n, n) or (poses is not None and len(poses) != len(images)):
        raise InputError(
            f"matching needs frames of the map's box ({n} px) and one pose each, got images {images.shape}"
            + ("" if poses is None else f", {len(poses)} poses")
        )
    radius = n / 2 * pixel if mask_radius_A is None else min(mask_radius_A, n / 2 * pixel)
    reach = (1.0 if poses is None else 0.0) if shift_reach_A is None else shift_reach_A
    start = np.zeros((len(images), 2)) if poses is None else np.asarray(poses.shift_A, float)
    weighting = weighting if amplitude is None else "area"
    grid = rings(n, pixel, band_A, radius / pixel / angle_step_px, weighting)
    plane = half_plane(n, pixel, band_A)
    smooth = padded_transform(density.data, pixel, band_A)
    quick = padded_transform(density.data, pixel, band_A, TRILINEAR)
    coarse_rotations = beam_rotations(fibonacci_sphere(coarse))
    coarse_spectra = reference_spectra(quick, coarse_rotations, grid, amplitude)
    fine_set = fibonacci_sphere(fine)
    shifts = shift_grid(reach, shift_step_A)
    previous = None if poses is None else matrices(poses.quaternion)
    rotation, shift = np.empty((len(images), 3, 3)), np.empty((len(images), 2))
    correlation, factor, sigma = (np.empty(len(images)) for _ in range(3))
    for first in progress(range(0, len(images), STEP), "frames matched (in chunks)"):
        part = slice(first, min(first + STEP, len(images)))
        frames = centred_masked(images[part], start[part], pixel, radius)
        samples = ring_samples(frames, grid)
        length = norms(samples, grid) if amplitude is None else np.ones(len(frames))
        before = None if previous is None else previous[part]
        found = coarse_search(samples, length, coarse_spectra, grid, shifts / pixel, max(peaks, top, 1))
        rows, R, s, score = _candidates(found, coarse_rotations, shifts, grid.turns)
        if peaks > 0:
            seeds = _neighbourhoods(found, coarse, fine_set, peaks, cap_deg, before)
            closer = fine_search(samples, length, quick, fine_set, seeds, shifts / pixel, grid, amplitude)
            rows, R, s, score = _joined((rows, R, s, score), closer, fine_set, shifts, grid.turns)
        rows, R, s = _best_rows(rows, R, s, score, top, len(frames))
        if before is not None:
            rows = np.r_[rows, np.arange(len(frames))]
            R, s = np.concatenate([R, before]), np.concatenate([s, np.zeros((len(frames), 2))])
        coefficients = image_coefficients(frames, plane)
        polar = weighting == "polar"
        best = _refined(coefficients, rows, R, s, (quick, smooth), plane, refine, limit_A, polar, amplitude)
        rotation[part], shift[part] = best
        every = np.arange(len(frames))
        correlation[part] = fit_poses(coefficients, every, smooth, plane, *best, iterations=0, polar=polar)[2]
        factor[part], sigma[part] = pose_facts(coefficients, smooth, plane, best[0], best[1])
    frame = np.arange(len(images)) if poses is None else poses.frame
    return Poses(frame, quaternions(rotation), start + shift, factor, np.degrees(sigma)), correlation


@numba.njit(parallel=True, cache=True)
def _keep_better(scores, off, number, best, angle, shift):
    """Update the best score, angle and shift of every frame and direction with scores (turns, f, d) of a shift."""
    for f in numba.prange(best.shape[0]):
        for j in range(scores.shape[0]):
            for d in range(best.shape[1]):
                value = scores[j, f, d] - off[d]
                if value > best[f, d]:
                    best[f, d] = value
                    angle[f, d] = j
                    shift[f, d] = number


def coarse_search(samples, length, references, grid, shifts_px, keep):
    """The best in-plane angle and shift of every coarse direction; of these the best `keep` directions a frame.

    returns direction, angle, shift (indices, (f, keep)) and score (f, keep), best first
    """
    references, off = references
    f, d = len(samples), len(references)
    references = by_order(references)
    best = np.full((f, d), -np.inf, np.float32)
    angle, shift = np.zeros((f, d), np.int32), np.zeros((f, d), np.int32)
    for number, offset in enumerate(shifts_px):
        for first in range(0, f, FRAMES):
            part = slice(first, first + FRAMES)
            spectra = ring_spectra(moved(samples[part], grid, offset), grid)
            spectra = np.ascontiguousarray(spectra.transpose(1, 0, 2))
            for low in range(0, d, DIRECTIONS):
                some = slice(low, low + DIRECTIONS)
                scores = turned_scores(spectra, references[:, :, some], grid.turns)
                _keep_better(
                    scores, off[some], number, best[part, some], angle[part, some], shift[part, some]
                )
    best /= np.maximum(length, 1e-30)[:, None]
    order = np.argsort(-best, axis=1, kind="stable")[:, : min(keep, d)]
    pick = (np.arange(f)[:, None], order)
    return order, angle[pick], shift[pick], best[pick]


def _candidates(found, rotations, shifts_A, turns):
    """Coarse results as a flat list: frame, rotation, shift_A, score."""
    direction, angle, shift, score = found
    rows = np.repeat(np.arange(len(direction)), direction.shape[1])
    turned = in_plane(2 * np.pi / turns * angle.ravel()) @ rotations[direction.ravel()]
    return rows, turned, shifts_A[shift.ravel()], score.ravel()


def _neighbourhoods(found, coarse, fine_set, peaks, cap_deg, before):
    """(frame, fine direction, shift index) to be scored: caps about the best coarse directions and the last pose."""
    tree = cKDTree(fine_set)
    chord = 2 * np.sin(np.radians(cap_deg) / 2)
    caps = [np.array(c, int) for c in tree.query_ball_point(fibonacci_sphere(coarse), chord)]
    lists = []
    last = None if before is None else tree.query_ball_point(before[:, 2], chord)
    for frame in range(len(found[0])):
        parts = [(caps[c], s) for c, s in zip(found[0][frame, :peaks], found[2][frame, :peaks])]
        if last is not None:
            parts.append((np.array(last[frame], int), 0))
        pairs = np.concatenate([np.stack([c, np.full(len(c), s)], 1) for c, s in parts])
        pairs = np.unique(pairs, axis=0)
        lists.append(np.c_[np.full(len(pairs), frame), pairs])
    return np.concatenate(lists)


@numba.njit(parallel=True, fastmath=True, cache=True)
def _products(spectra, slot, references, direction, out):
    """out[i, m] = sum_k spectra[slot[i], m, k] conj(references[direction[i], m, k])."""
    for i in numba.prange(len(slot)):
        p, r = spectra[slot[i]], references[direction[i]]
        for m in range(out.shape[1]):
            real = np.float32(0)
            imag = np.float32(0)
            for k in range(p.shape[1]):
                a, b = p[m, k], r[m, k]
                real += a.real * b.real + a.imag * b.imag
                imag += a.imag * b.real - a.real * b.imag
            out[i, m] = complex(real, imag)


def fine_search(samples, length, transform, fine_set, seeds, shifts_px, grid, amplitude):
    """Best in-plane angle (index) and score of each (frame, fine direction, shift)."""
    key = seeds[:, 0] * len(shifts_px) + seeds[:, 2]
    used, slot = np.unique(key, return_inverse=True)
    moved_samples = np.empty((len(used), samples.shape[1]), np.complex64)
    for number, offset in enumerate(shifts_px):
        mine = used % len(shifts_px) == number
        moved_samples[mine] = moved(samples[used[mine] // len(shifts_px)], grid, offset)
    spectra = ring_spectra(moved_samples, grid)
    order = np.argsort(seeds[:, 1], kind="stable")
    angle, score = np.empty(len(seeds), np.int32), np.empty(len(seeds))
    edges = np.searchsorted(seeds[order, 1], np.arange(0, len(fine_set) + BLOCK, BLOCK))
    for low, high in zip(edges[:-1], edges[1:]):
        if low == high:
            continue
        chosen, local = np.unique(seeds[order[low:high], 1], return_inverse=True)
        references, off = reference_spectra(transform, beam_rotations(fine_set[chosen]), grid, amplitude)
        for first in range(low, high, ROWS):
            rows = order[first : min(first + ROWS, high)]
            mine = local[first - low : first - low + len(rows)]
            out = np.empty((len(rows), grid.turns // 2 + 1), np.complex64)
            _products(spectra, slot[rows], references, mine, out)
            scores = fft.irfft(out, grid.turns, axis=-1)
            angle[rows] = scores.argmax(-1)
            score[rows] = scores.max(-1) - off[mine]
    return seeds, angle, score / np.maximum(length[seeds[:, 0]], 1e-30)


def _joined(first, closer, fine_set, shifts_A, turns):
    """Coarse and fine candidates in one list."""
    seeds, angle, score = closer
    # rotations of the few that can win only: a frame's list is long
    keep = score >= _kth_best(seeds[:, 0], score, 32)
    seeds, angle, score = seeds[keep], angle[keep], score[keep]
    R = in_plane(2 * np.pi / turns * angle) @ beam_rotations(fine_set[seeds[:, 1]])
    rows, rotation, shift, value = first
    return (
        np.r_[rows, seeds[:, 0]],
        np.concatenate([rotation, R]),
        np.concatenate([shift, shifts_A[seeds[:, 2]]]),
        np.r_[value, score],
    )


def _kth_best(rows, score, k):
    """(n,) the k-th best score of the row that each entry belongs to."""
    order = np.lexsort((-score, rows))
    first = np.searchsorted(rows[order], np.unique(rows))
    count = np.diff(np.r_[first, len(rows)])
    limit = score[order][first + np.minimum(k, count) - 1]
    return limit[np.searchsorted(np.unique(rows), rows)]


def _best_rows(rows, R, s, score, top, frames):
    """The best `top` candidates of each frame."""
    keep = score >= _kth_best(rows, score, top)
    return rows[keep], R[keep], s[keep]


def _refined(coefficients, rows, R, s, transforms, plane, iterations, limit_A, polar, amplitude):
    """The best candidate of each frame after refinement: half of the steps for all, the rest for the best two.

    transforms : of the map, for quick and for accurate slices
    """
    quick, smooth = transforms
    some = (iterations + 1) // 2
    R, s, score = fit_poses(coefficients, rows, quick, plane, R, s, some, limit_A, polar, amplitude)
    keep = score >= _kth_best(rows, score, 2)
    rows, left = rows[keep], iterations - some
    R, s, score = fit_poses(
        coefficients, rows, smooth, plane, R[keep], s[keep], left, limit_A, polar, amplitude
    )
    order = np.lexsort((-score, rows))
    first = order[np.searchsorted(rows[order], np.arange(len(coefficients)))]
    return R[first], s[first]
