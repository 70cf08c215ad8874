"""Poses by Gauss-Newton against a map: rotation (3) and shift (2).

The normalised correlation of a frame F with the map's slice S(R) e^(-2 pi i k.s) over a band is raised by steps of
least squares on F - a S with the amplitude a eliminated, or the likelihood at a given amplitude is. Derivatives in
the shift are exact, those in the rotation are differences of slices. Left perturbation R <- exp([w]) R.
"""

import numpy as np

from perrin.imaging.fourier import shift_phases
from perrin.imaging.rotations import rotvec_matrices
from perrin.imaging.slices import fourier_slices

DIFFERENCE = 0.004  # radian: 0.04 A at 10 A from the centre
STEP_RAD, STEP_A = 0.06, 0.4
CHUNK = 512


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
    score = np.empty(len(R))
    weight = _weights(plane, polar)
    for first in range(0, len(R), CHUNK):
        part = slice(first, first + CHUNK)
        data = coefficients[rows[part]]
        R[part], s[part], score[part] = _fit(
            data,
            transform,
            plane,
            weight,
            R[part],
            s[part],
            iterations,
            np.inf if limit_A is None else limit_A,
            amplitude,
        )
    return R, s, score


def pose_facts(coefficients, transform, plane, rotation, shift_A):
    """Amplitude (f,) of the map's projection in each frame, and sigma (f,) radians of the rotation about one axis.

    For frames with white noise of unit variance; sigma is the Cramer-Rao bound with shift and amplitude unknown.
    """
    amplitude, sigma = np.empty(len(rotation)), np.empty(len(rotation))
    weight = _weights(plane, False)
    for first in range(0, len(rotation), CHUNK):
        part = slice(first, first + CHUNK)
        model, by = _model_and_derivatives(transform, plane, rotation[part], shift_A[part])
        square = np.maximum(_dot(weight, model, model), 1e-30)
        a = _dot(weight, model, coefficients[part]) / square
        by = by - model[:, None] * (_dot(weight, model[:, None], by) / square[:, None])[..., None]
        H = np.einsum("m,fam,fbm->fab", weight, by.conj(), by, optimize=True).real
        H = H * (a * a / plane.n**2)[:, None, None] + 1e-9 * np.eye(5)
        covariance = np.linalg.inv(H)
        amplitude[part] = a
        sigma[part] = np.sqrt(np.trace(covariance[:, :3, :3], axis1=1, axis2=2) / 3)
    return amplitude, sigma


def _weights(plane, polar):
    return plane.weight / np.maximum(np.hypot(*plane.k.T), 1) if polar else plane.weight


def _dot(weight, a, b):
    """Weighted real scalar products along the last axis."""
    return np.sum(weight * (a.real * b.real + a.imag * b.imag), -1)


def _slices(transform, plane, R, s):
    return fourier_slices(transform, R, plane) * shift_phases(plane, s / transform.pixel_A)


def _model_and_derivatives(transform, plane, R, s, model=None):
    """Slices (c, m) and their derivatives (c, 5, m) in w_x, w_y, w_z, s_x, s_y."""
    if model is None:
        model = _slices(transform, plane, R, s)
    by = np.empty((len(R), 5, len(plane)), np.complex64)
    for axis in range(3):
        turned = rotvec_matrices(DIFFERENCE * np.eye(3)[axis]) @ R
        by[:, axis] = (_slices(transform, plane, turned, s) - model) / DIFFERENCE
    for axis in range(2):
        by[:, 3 + axis] = model * (-2j * np.pi / (plane.n * transform.pixel_A) * plane.k[:, axis])
    return model, by


def _score(weight, data, model, length, n, amplitude):
    if amplitude is not None:
        return (amplitude * _dot(weight, model, data) - amplitude**2 / 2 * _dot(weight, model, model)) / n**2
    return _dot(weight, model, data) / np.maximum(np.sqrt(_dot(weight, model, model)) * length, 1e-30)


def _fit(data, transform, plane, weight, R, s, iterations, limit, amplitude):
    length = np.sqrt(_dot(weight, data, data))
    model = _slices(transform, plane, R, s)
    score = _score(weight, data, model, length, plane.n, amplitude)
    damping = np.full(len(R), 1e-3)
    for _ in range(iterations):
        by = _model_and_derivatives(transform, plane, R, s, model)[1]
        square = np.maximum(_dot(weight, model, model), 1e-30)
        if amplitude is None:
            # a frame that the slice opposes has no best rotation nearby: only agreement is followed
            a = np.maximum(_dot(weight, model, data) / square, 1e-3 * length / np.sqrt(square))
            left = data - a[:, None] * model
            by -= model[:, None] * (_dot(weight, model[:, None], by) / square[:, None])[..., None]
        else:
            a = np.full(len(R), float(amplitude))
            left = data - np.float32(amplitude) * model
        weighted = weight * by.conj()
        H = np.matmul(weighted, by.transpose(0, 2, 1)).real * (a * a)[:, None, None]
        g = np.matmul(weighted, left[..., None])[..., 0].real * a[:, None]
        diagonal = np.einsum("faa->fa", H)
        diagonal *= 1 + damping[:, None]
        diagonal += 1e-6 * diagonal.max(1, keepdims=True) + 1e-30
        move = np.linalg.solve(H.astype(float), g[..., None].astype(float))[..., 0]
        turn, slide = np.linalg.norm(move[:, :3], axis=1), np.linalg.norm(move[:, 3:], axis=1)
        move *= np.minimum(
            1, np.minimum(STEP_RAD / np.maximum(turn, 1e-12), STEP_A / np.maximum(slide, 1e-12))
        )[:, None]
        trial_R, trial_s = rotvec_matrices(move[:, :3]) @ R, s + move[:, 3:]
        trial = _slices(transform, plane, trial_R, trial_s)
        now = _score(weight, data, trial, length, plane.n, amplitude)
        better = (now > score) & (np.linalg.norm(trial_s, axis=1) <= limit)
        R[better], s[better], score[better], model[better] = (
            trial_R[better],
            trial_s[better],
            now[better],
            trial[better],
        )
        damping = np.where(better, damping * 0.3, damping * 10)
    return R, s, score
