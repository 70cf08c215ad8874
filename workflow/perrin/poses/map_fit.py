"""Poses by Gauss-Newton against a map: rotation (3) and shift (2).

The normalised correlation of a frame F with the map's slice S(R) e^(-2 pi i k.s) over a band is raised by steps of
least squares on F - a S with the amplitude a eliminated, or the likelihood at a given amplitude is. All that a step
asks of frame and map are the sums of `perrin.poses.normal_equations`. Left perturbation R <- exp([w]) R.
"""

import numpy as np

from perrin.imaging.rotations import rotvec_matrices
from perrin.poses.normal_equations import products

STEP_RAD, STEP_A = 0.06, 0.4


def fit_poses(
    coefficients, rows, transform, plane, rotation, shift_A, iterations=4, limit_A=None, polar=True, amplitude=None,
):  # fmt: skip
    """Refine poses of frames against a map.

    coefficients : (f, m) complex64 of the frames, `image_coefficients` of plane
    rows : (c,) the frame that each pose belongs to; rotation (c, 3, 3), shift_A (c, 2) : the start
    transform : of the map, with a band that holds the plane's
    limit_A : steps that leave this distance from shift 0 are not taken
    polar : rings count alike (weight 1 / k), as published; else all coefficients do
    amplitude : None, or a number for all frames; then polar must be False and the score is a log-likelihood ratio
    returns rotation, shift_A, score (c,): correlation, or log-likelihood ratio to an empty frame
    """
    R, s = np.array(rotation, float), np.array(shift_A, float)
    rows = np.asarray(rows)
    weight = _weights(plane, polar)
    length = np.sqrt(_squares(coefficients, weight))[rows]
    limit = np.inf if limit_A is None else limit_A
    now = products(coefficients, rows, transform, plane, weight, R, s)
    score = _score(now, length, plane.n, amplitude)
    damping = np.full(len(R), 1e-3)
    for _ in range(iterations):
        move = _step(now, length, damping, amplitude)
        trial_R, trial_s = rotvec_matrices(move[:, :3]) @ R, s + move[:, 3:]
        trial = products(coefficients, rows, transform, plane, weight, trial_R, trial_s)
        there = _score(trial, length, plane.n, amplitude)
        better = (there > score) & (np.linalg.norm(trial_s, axis=1) <= limit)
        R[better], s[better], score[better] = trial_R[better], trial_s[better], there[better]
        now.put(better, trial)
        damping = np.where(better, damping * 0.3, damping * 10)
    return R, s, score


def pose_facts(coefficients, transform, plane, rotation, shift_A):
    """Amplitude (f,) of the map's projection in each frame, and sigma (f,) radians of the rotation about one axis.

    For frames with white noise of unit variance; sigma is the Cramer-Rao bound with shift and amplitude unknown.
    """
    rows = np.arange(len(rotation))
    p = products(coefficients, rows, transform, plane, _weights(plane, False), rotation, shift_A)
    square = np.maximum(p.mm, 1e-30)
    amplitude = p.md / square
    H = p.bb - p.bm[:, :, None] * p.bm[:, None] / square[:, None, None]
    H = H * np.square(amplitude / plane.n)[:, None, None] + 1e-9 * np.eye(5)
    covariance = np.linalg.inv(H)
    return amplitude, np.sqrt(np.trace(covariance[:, :3, :3], axis1=1, axis2=2) / 3)


def _weights(plane, polar):
    return plane.weight / np.maximum(np.hypot(*plane.k.T), 1) if polar else plane.weight


def _squares(coefficients, weight):
    """(f,) weighted sums of squares of the frames' coefficients."""
    return np.einsum("fm,fm,m->f", coefficients, coefficients.conj(), weight, optimize=True).real


def _score(p, length, n, amplitude):
    if amplitude is not None:
        return (amplitude * p.md - amplitude**2 / 2 * p.mm) / n**2
    return p.md / np.maximum(np.sqrt(p.mm) * length, 1e-30)


def _step(p, length, damping, amplitude):
    """Damped Gauss-Newton steps (c, 5), no longer than STEP_RAD and STEP_A."""
    square = np.maximum(p.mm, 1e-30)
    if amplitude is None:
        # a frame that the slice opposes has no best rotation nearby: only agreement is followed
        a = np.maximum(p.md / square, 1e-3 * length / np.sqrt(square))
        along = p.bm / square[:, None]
        H = p.bb - p.bm[:, :, None] * along[:, None]
        g = p.bd - a[:, None] * p.bm - along * (p.md - a * p.mm)[:, None]
    else:
        a = np.full(len(square), float(amplitude))
        H, g = p.bb.copy(), p.bd - a[:, None] * p.bm
    H *= np.square(a)[:, None, None]
    diagonal = np.einsum("faa->fa", H)
    diagonal *= 1 + damping[:, None]
    diagonal += 1e-6 * diagonal.max(1, keepdims=True) + 1e-30
    move = np.linalg.solve(H, (g * a[:, None])[..., None])[..., 0]
    turn, slide = np.linalg.norm(move[:, :3], axis=1), np.linalg.norm(move[:, 3:], axis=1)
    shorter = np.minimum(STEP_RAD / np.maximum(turn, 1e-12), STEP_A / np.maximum(slide, 1e-12))
    return move * np.minimum(1, shorter)[:, None]
