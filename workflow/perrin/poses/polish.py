"""Poses by Gauss-Newton against a set of atoms: rotation (3), shift (2) and amplitude of every frame.

    L(theta) = a c(theta) - a^2 |M(theta)|^2 / 2,   c = sum_j o_j b(u_j),   |M|^2 = sum_jk o_j o_k K(u_j - u_k)

with theta = (s_x, s_y, w_x, w_y, w_z), u_j = (R x_j)_xy + s and the left perturbation R <- exp([w]) R. The
amplitude is eliminated (its best value, held near the movie's median). The Gauss-Newton matrix is the overlap of the
model's changes, H = a^2 sum_jk o_j o_k V_j' M_jk V_k with M = -(2 K' 1 + 4 K'' d d') and V = du / dtheta; sums over
pairs are those of imaging.pairs.
"""

import numba
import numpy as np

from perrin.imaging.blobs import read_gradient
from perrin.imaging.pairs import pair_sums
from perrin.imaging.rotations import rotvec_matrices

FAR_RAD, FAR_A = 0.015, 0.15  # steps after which the Gauss-Newton matrix is computed again


@numba.njit(fastmath=True, forceinline=True)
def evaluate(image, centre, step, xyz, occupancy, series, R, s, r, g_c, g_n, H, matrix):
    """c, |M|^2, their gradients in (s, w) and, if asked, the matrix H / a^2 of one frame at one pose.

    r : (n, 3), filled with the turned atoms
    """
    for j in range(len(xyz)):
        for a in range(3):
            r[j, a] = R[a, 0] * xyz[j, 0] + R[a, 1] * xyz[j, 1] + R[a, 2] * xyz[j, 2]
    squared, by_x, by_y = pair_sums(r, occupancy, series, H, matrix)
    g_c[:] = 0
    g_n[:] = 0
    g_n[2] = by_x
    g_n[3] = by_y
    c = 0.0
    for j in range(len(xyz)):
        value, gx, gy = read_gradient(image, centre, step, r[j, 0] + s[0], r[j, 1] + s[1])
        o = occupancy[j]
        c += o * value
        g_c[0] += o * gx
        g_c[1] += o * gy
        g_c[2] -= o * r[j, 2] * gy
        g_c[3] += o * r[j, 2] * gx
        g_c[4] += o * (r[j, 0] * gy - r[j, 1] * gx)
    return c, squared


@numba.njit(inline="always", fastmath=True)
def _turn(w, R, out):
    """exp([w]) R by Rodrigues' formula."""
    angle = np.sqrt(w[0] * w[0] + w[1] * w[1] + w[2] * w[2])
    if angle < 1e-12:
        out[:] = R
        return
    s = np.sin(angle) / angle
    c = (1 - np.cos(angle)) / (angle * angle)
    for i in range(3):
        v = R[:, i]
        x = w[1] * v[2] - w[2] * v[1]
        y = w[2] * v[0] - w[0] * v[2]
        z = w[0] * v[1] - w[1] * v[0]
        out[0, i] = v[0] + s * x + c * (w[1] * z - w[2] * y)
        out[1, i] = v[1] + s * y + c * (w[2] * x - w[0] * z)
        out[2, i] = v[2] + s * z + c * (w[0] * y - w[1] * x)


@numba.njit(inline="always", fastmath=True)
def _deviation(R, R0, w):
    """Rotation vector of R R0^T, good for moderate angles."""
    D = R @ R0.T
    w[0] = (D[2, 1] - D[1, 2]) / 2
    w[1] = (D[0, 2] - D[2, 0]) / 2
    w[2] = (D[1, 0] - D[0, 1]) / 2
    sine = np.sqrt(w[0] ** 2 + w[1] ** 2 + w[2] ** 2)
    cosine = (D[0, 0] + D[1, 1] + D[2, 2] - 1) / 2
    if sine > 1e-9:
        w *= np.arctan2(sine, cosine) / sine


@numba.njit(parallel=True, fastmath=True, cache=True)
def _polish(
    coefficient, centre, step, rows, images, xyz, occupancy, series, R, s, alpha, alpha0, alpha_weight,
    R0, rotation_weight, s0, shift_weight, iterations, gain, sigma,
):  # fmt: skip
    for index in numba.prange(len(rows)):
        f = rows[index]
        n = len(xyz)
        r = np.empty((n, 3))
        g_c, g_n, H = np.empty(5), np.empty(5), np.empty((5, 5))
        t_c, t_n, T = np.empty(5), np.empty(5), np.empty((5, 5))
        trial_R = R[f].copy()
        trial_s = s[f].copy()
        w = np.empty(3)
        image = coefficient[images[f]]
        damping, a, c, squared, best = 1e-3, 0.0, 0.0, 0.0, -np.inf
        anew = True
        for turn in range(iterations + 1):
            tc, t_squared = evaluate(
                image, centre, step, xyz, occupancy, series, trial_R, trial_s, r, t_c, t_n, T, anew
            )
            ta = max((tc + alpha_weight * alpha0[f]) / (t_squared + alpha_weight), 0.2 * alpha0[f])
            _deviation(trial_R, R0[f], w)
            away = trial_s - s0[f]
            value = (
                ta * tc - ta * ta * t_squared / 2 - alpha_weight * (ta - alpha0[f]) ** 2 / 2
                - rotation_weight[f] * (w * w).sum() / 2 - shift_weight[f] * (away * away).sum() / 2
            )  # fmt: skip
            if turn == 0 or value > best:
                small = turn > 0 and value - best < 1e-3
                R[f] = trial_R
                s[f] = trial_s
                a, c, squared, best = ta, tc, t_squared, value
                g_c[:] = t_c
                g_n[:] = t_n
                if anew:
                    H[:] = T
                if turn > 0:
                    damping = max(damping * 0.2, 1e-5)
                if small:
                    break
            else:
                damping = max(damping * 10, 1e-2)
                _deviation(R[f], R0[f], w)
                away = s[f] - s0[f]
                if damping > 1e4:
                    break
            g = a * g_c - 0.5 * a * a * g_n
            A = a * a * H
            for i in range(3):
                g[2 + i] -= rotation_weight[f] * w[i]
                A[2 + i, 2 + i] += rotation_weight[f]
            for i in range(2):
                g[i] -= shift_weight[f] * away[i]
                A[i, i] += shift_weight[f]
            for i in range(5):
                A[i, i] *= 1 + damping
                A[i, i] += 1e-6
            move = np.linalg.solve(A, g)
            angle = np.sqrt(move[2] ** 2 + move[3] ** 2 + move[4] ** 2)
            slide = np.sqrt(move[0] ** 2 + move[1] ** 2)
            move *= min(1.0, 0.05 / max(angle, 1e-12), 0.4 / max(slide, 1e-12))
            _turn(move[2:], R[f], trial_R)
            trial_s[:] = s[f] + move[:2]
            anew = angle > FAR_RAD or slide > FAR_A  # else the matrix is as good as the same
        alpha[f] = a
        gain[f] = a * c - a * a * squared / 2
        A = a * a * H
        for i in range(5):
            A[i, i] += 1e-9
        for i in range(3):
            A[2 + i, 2 + i] += rotation_weight[f]
        C = np.linalg.inv(A)
        sigma[f] = np.sqrt(max((C[2, 2] + C[3, 3] + C[4, 4]) / 3, 0.0))


def polish(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, iterations=5, amplitude_spread=0.2,
    walk_deg=None, walk_A=0.2, box_A=None, images=None, gap=None, amplitude_mean=None,
):  # fmt: skip
    """Refine every frame's pose against a set of atoms.

    filtered : Filtered; xyz_A (n, 3), occupancy (n,): the model; overlap : Overlap of its profile
    rotation (f, 3, 3), shift_A (f, 2), amplitude (f,): the start
    amplitude_spread : relative spread of the prior on a frame's amplitude about the running median
    walk_deg : rms rotation between frames; with it neighbours in time hold a weak frame (random-walk prior,
        even and odd frames in turn); box_A (f, 2), absolute place of the boxes, is needed then
    walk_A : standard deviation an axis and frame of the absolute position
    images : (f,) the frame that each pose belongs to, where several starts are tried on one frame
    gap : (f,) frames since the previous one, 1 where none is missing
    amplitude_mean : centre of the prior on amplitudes; the median of the given ones where it is None
    returns rotation, shift_A, amplitude, log-likelihood ratio to an empty frame (f,), sigma (f,) radians
    """
    frames = len(rotation)
    R = np.array(rotation, float)
    s = np.array(shift_A, float)
    alpha = np.array(amplitude, float)
    alpha0 = np.full(frames, np.median(alpha) if amplitude_mean is None else amplitude_mean)
    gain, sigma = np.zeros(frames), np.zeros(frames)
    rows = np.arange(frames)
    images = rows if images is None else np.asarray(images)
    xyz = np.ascontiguousarray(xyz_A, float)
    occupancy = np.ascontiguousarray(occupancy, float)
    parts = [rows] if walk_deg is None else [rows[rows % 2 == 0], rows[rows % 2 == 1]]
    weight = 1 / (amplitude_spread * alpha0[0]) ** 2
    for part in parts:
        if walk_deg is None:
            R0, s0, by_rotation, by_shift = R.copy(), s.copy(), np.zeros(frames), np.zeros(frames)
        else:
            R0, s0, by_rotation, by_shift = _between_neighbours(R, s, box_A, walk_deg, walk_A, gap)
        _polish(
            filtered.coefficient, filtered.centre, filtered.step_A, part, images, xyz,
            occupancy, overlap.series,
            R, s, alpha, alpha0, weight, R0, by_rotation, s0, by_shift, iterations, gain, sigma,
        )  # fmt: skip
    return R, s, alpha, gain, sigma


def _between_neighbours(R, s, box_A, walk_deg, walk_A, gap):
    """Mean and precision of the random walk's prior on each frame, given the frames before and after it."""
    frames = len(R)
    gap = np.ones(frames) if gap is None else np.asarray(gap, float)
    place = s + box_A
    variance = np.radians(walk_deg) ** 2 / 3
    R0, place0 = R.copy(), place.copy()
    precision = np.zeros(frames)
    if frames > 2:
        before, after = gap[1:-1], gap[2:]
        share = (before / (before + after))[:, None]
        difference = np.einsum("fij,fkj->fik", R[2:], R[:-2])
        vector = _rotation_vectors(difference)
        R0[1:-1] = rotvec_matrices(share * vector) @ R[:-2]
        place0[1:-1] = place[:-2] + share * (place[2:] - place[:-2])
        precision[1:-1] = 1 / before + 1 / after
        # a jump between the neighbours says that one of them is wrong: no prior from them
        far = np.linalg.norm(vector, axis=1) > 5 * np.sqrt(3 * variance * (before + after))
        precision[1:-1][far] = 0
    return R0, place0 - box_A, precision / variance, precision / walk_A**2


def _rotation_vectors(matrix):
    """(n, 3) rotation vectors of (n, 3, 3) matrices, safe at small angles."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_matrix(matrix).as_rotvec()
