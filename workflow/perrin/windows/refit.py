"""Poses and new sites refined again once lives are known: a pose fitted to a blend of states dates changes late."""

import numba
import numpy as np
from scipy.spatial import cKDTree

from perrin.imaging.blobs import filter_frames, overlap_value, read, read_gradient
from perrin.poses.polish import polish
from perrin.windows.evidence import blocks, project

BLOCK_FRAMES = 100
RELAX_FRAMES = 400
STRIDE_A = 0.25


def refit_poses(
    images, pixel_A, profile, overlap, stretches, xyz_A, evidence, rotation, shift_A, walk_deg, box_A, gap,
    which=None, iterations=3,
):  # fmt: skip
    """Refine poses against the atoms that were present, in blocks of frames with their mean occupancies.

    stretches (f,), xyz_A (sets, n, 3): as in evidence.collect; walk_deg : rms rotation a frame, one a set
    which : (f,) bool, blocks without any of these frames stay as they are
    evidence.b and evidence.u are read anew (the overlaps are not: sum_overlaps); returns rotation, shift_A
    """
    R, s = np.array(rotation, float), np.array(shift_A, float)
    for rows in blocks(stretches, BLOCK_FRAMES):
        if which is not None and not which[rows].any():
            continue
        label = stretches[rows.start]
        mean = evidence.present[rows].mean(0, dtype=float)
        some = mean > 0.05
        filtered = filter_frames(images[rows], pixel_A, profile)
        if some.sum() > 3 and (evidence.amplitude[rows] > 0).all():
            R[rows], s[rows] = polish(
                filtered, xyz_A[label][some], mean[some], overlap, R[rows], s[rows], evidence.amplitude[rows],
                iterations, walk_deg=walk_deg[label], box_A=box_A[rows], gap=gap[rows],
            )[:2]  # fmt: skip
        evidence.b[rows] = read(filtered, xyz_A[label], R[rows], s[rows])
        evidence.u[rows] = project(xyz_A[label], R[rows], s[rows])
    return R, s


def relax_sites(
    images, pixel_A, profile, overlap, stretches, xyz_A, evidence, rotation, shift_A, sites, least_A,
    iterations=4,
):  # fmt: skip
    """Move sites to where the frames put them: a Gauss-Newton step each, others fixed, while they are present.

    sites : rows of the sites to move; the frames in which any of them is present are thinned to 400
    least_A : a site that comes nearer than this to another that is ever taken, or that moves by more than
        1 angstrom, goes back to where it was
    returns xyz_A (sets, n, 3), moved alike in all sets
    """
    xyz_A = np.array(xyz_A, float)
    rows = np.flatnonzero(evidence.used & (evidence.present[:, sites] > 0.5).any(1))
    if not len(rows):
        return xyz_A
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(RELAX_FRAMES, len(rows))).astype(int))]
    filtered = filter_frames(images[rows], pixel_A, profile)
    start = xyz_A[:, sites].copy()
    curvature = -2 * overlap.table[0, 1]
    for _ in range(iterations):
        slope = np.zeros((len(rows), len(sites), 2))
        for label in np.unique(stretches[rows]):
            here = np.flatnonzero(stretches[rows] == label)
            _slopes(
                filtered.coefficient, filtered.centre, filtered.step_A, here,
                project(xyz_A[label], rotation[rows], shift_A[rows]), evidence.present[rows],
                evidence.amplitude[rows], np.asarray(sites), overlap.table, overlap.dq, slope,
            )  # fmt: skip
        P = rotation[rows][:, :2]
        weight = np.square(evidence.amplitude[rows])[:, None] * (evidence.present[np.ix_(rows, sites)] > 0.5)
        gradient = np.einsum("fja,fac->jc", slope, P)
        matrix = curvature * np.einsum("fj,fac,fad->jcd", weight, P, P)
        matrix += (1e-9 + 0.1 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] / 3) * np.eye(3)
        move = np.linalg.solve(matrix, gradient[..., None])[..., 0]
        length = np.linalg.norm(move, axis=1, keepdims=True)
        move *= np.minimum(1, STRIDE_A / np.maximum(length, 1e-12))
        xyz_A[:, sites] += move
    ever = (evidence.present > 0.5).any(0)
    ever[sites] = False
    strayed = np.linalg.norm(xyz_A[0, sites] - start[0], axis=1) > 1
    if ever.any():
        strayed |= cKDTree(xyz_A[0, ever]).query(xyz_A[0, sites])[0] < least_A
    xyz_A[:, np.asarray(sites)[strayed]] = start[:, strayed]
    return xyz_A


@numba.njit(parallel=True, fastmath=True, cache=True)
def _slopes(coefficient, centre, step, here, u, present, amplitude, sites, table, dq, out):
    """Gradient of the log-likelihood in the image place of each site, while it is present."""
    for index in numba.prange(len(here)):
        f = here[index]
        a = amplitude[f]
        for i in range(len(sites)):
            j = sites[i]
            if present[f, j] < 0.5:
                continue
            _, gx, gy = read_gradient(coefficient[f], centre, step, u[f, j, 0], u[f, j, 1])
            for k in range(u.shape[1]):
                if k == j or present[f, k] == 0:
                    continue
                dx = u[f, j, 0] - u[f, k, 0]
                dy = u[f, j, 1] - u[f, k, 1]
                q = dx * dx + dy * dy
                # K' by differences of the table is K(q + dq) - K(q): the gradient is 2 K' d
                slope = 2 * (overlap_value(table, dq, q + dq) - overlap_value(table, dq, q)) / dq
                gx -= a * present[f, k] * slope * dx
                gy -= a * present[f, k] * slope * dy
            out[f, i, 0] = a * gx
            out[f, i, 1] = a * gy
