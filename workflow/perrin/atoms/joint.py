"""All atoms at once against the frames: positions and occupancies by exact Gauss-Newton, and their common profile.

With u_fj = P R_f x_j + s_f, d = u_fj - u_fk and the overlap K(|d|^2) of two atoms (imaging.profile):

    gradient    dL/dx_j = sum_f a_f o_j (P R_f)' [grad b_f(u_fj) - a_f sum_k o_k grad K(d)]
                dL/do_j = sum_f a_f [b_f(u_fj) - a_f sum_k o_k K(d)]
    matrix      <d_a p_j, d_b p_k> = -R_f' (2 K' 1 + 4 K'' d d') R_f,   <d_a p_j, p_k> = 2 K' (R_f' d)_a

The matrix is summed pair by pair over all frames: one writer an entry, so threads cannot change the result.
"""

import numba
import numpy as np
import scipy.linalg

from perrin.imaging.blobs import filter_frames, read, read_gradient
from perrin.imaging.pairs import (
    BLOCK,
    atom_changes,
    atom_overlaps,
    model_norms,
    overlap_derivatives,
    pair_sums,
)
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import across

GAUSSIANS_A = (0.30, 0.42, 0.60)
MOST_CAPS = 4  # times the cap, along a direction hardly seen, once a model is whole


@numba.njit(inline="always", fastmath=True)
def _turned(xyz, R, r):
    for j in range(len(xyz)):
        for a in range(3):
            r[j, a] = R[a, 0] * xyz[j, 0] + R[a, 1] * xyz[j, 1] + R[a, 2] * xyz[j, 2]


@numba.njit(parallel=True, fastmath=True, cache=True)
def _gradients(coefficient, centre, step, xyz, occupancy, series, R, s, alpha, out):
    """out (f, n, 3): gradient in the two image directions (without o_j) and in the occupancy, a frame."""
    for f in numba.prange(len(R)):
        n = len(xyz)
        r = np.empty((n, 3))
        overlaps = np.empty((n, 3))
        _turned(xyz, R[f], r)
        atom_overlaps(r, occupancy, series, overlaps)
        for j in range(n):
            value, gx, gy = read_gradient(coefficient[f], centre, step, r[j, 0] + s[f, 0], r[j, 1] + s[f, 1])
            out[f, j, 0] = alpha[f] * (gx - alpha[f] * overlaps[j, 1])
            out[f, j, 1] = alpha[f] * (gy - alpha[f] * overlaps[j, 2])
            out[f, j, 2] = alpha[f] * (value - alpha[f] * overlaps[j, 0])


@numba.njit(fastmath=True, error_model="numpy", forceinline=True)
def _pair_matrix(ax, ay, bx, by, weight, x0, x1, x2, y0, y1, y2, series, out):
    """Add one pair's ten sums over frames to out (10,); x, y: first two rows of the rotations."""
    a0 = a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = np.float32(0)
    for f in range(len(ax)):
        dx = ax[f] - bx[f]
        dy = ay[f] - by[f]
        k, k1, k2 = overlap_derivatives(dx * dx + dy * dy, series)
        k *= weight[f]
        k1 *= np.float32(2) * weight[f]
        k2 *= np.float32(4) * weight[f]
        m11 = -k1 - k2 * dx * dx
        m12 = -k2 * dx * dy
        m22 = -k1 - k2 * dy * dy
        a0 += m11 * x0[f] * x0[f] + np.float32(2) * m12 * x0[f] * y0[f] + m22 * y0[f] * y0[f]
        a1 += m11 * x0[f] * x1[f] + m12 * (x0[f] * y1[f] + x1[f] * y0[f]) + m22 * y0[f] * y1[f]
        a2 += m11 * x0[f] * x2[f] + m12 * (x0[f] * y2[f] + x2[f] * y0[f]) + m22 * y0[f] * y2[f]
        a3 += m11 * x1[f] * x1[f] + np.float32(2) * m12 * x1[f] * y1[f] + m22 * y1[f] * y1[f]
        a4 += m11 * x1[f] * x2[f] + m12 * (x1[f] * y2[f] + x2[f] * y1[f]) + m22 * y1[f] * y2[f]
        a5 += m11 * x2[f] * x2[f] + np.float32(2) * m12 * x2[f] * y2[f] + m22 * y2[f] * y2[f]
        a6 += k1 * (x0[f] * dx + y0[f] * dy)
        a7 += k1 * (x1[f] * dx + y1[f] * dy)
        a8 += k1 * (x2[f] * dx + y2[f] * dy)
        a9 += k
    out[0] += a0
    out[1] += a1
    out[2] += a2
    out[3] += a3
    out[4] += a4
    out[5] += a5
    out[6] += a6
    out[7] += a7
    out[8] += a8
    out[9] += a9


@numba.njit(parallel=True, fastmath=True, cache=True)
def _matrix(ux, uy, weight, R, occupancy, series, A):
    """A (n, n, 10): xx, xy, xz, yy, yz, zz of position-position, x, y, z of position-occupancy, occupancy^2."""
    n, frames = ux.shape
    for j in numba.prange(n):
        for k in range(j, n):
            sums = np.zeros(10)
            # some frames at a time, for the sums are in single precision
            for first in range(0, frames, BLOCK):
                stop = min(first + BLOCK, frames)
                _pair_matrix(
                    ux[j][first:stop], uy[j][first:stop], ux[k][first:stop], uy[k][first:stop],
                    weight[first:stop], R[0][first:stop], R[1][first:stop], R[2][first:stop],
                    R[3][first:stop], R[4][first:stop], R[5][first:stop], series, sums,
                )  # fmt: skip
            both = occupancy[j] * occupancy[k]
            for c in range(6):
                A[j, k, c] = both * sums[c]
            for c in range(6, 10):
                A[j, k, c] = sums[c]


def project(xyz_A, rotation, shift_A):
    """Places of atoms in frames: (f, n, 2) angstrom from the box centre."""
    return np.einsum("fac,nc->fna", rotation[:, :2], xyz_A) + shift_A[:, None]


def normal_matrix(xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude):
    """Fisher information of (x, y, z, occupancy) of all atoms with poses known: (4 n, 4 n), atom by atom."""
    n = len(xyz_A)
    u = project(xyz_A, rotation, shift_A)
    pairs = np.zeros((n, n, 10))
    occupancy = np.ascontiguousarray(occupancy, float)
    _matrix(
        np.ascontiguousarray(u[:, :, 0].T, np.float32), np.ascontiguousarray(u[:, :, 1].T, np.float32),
        np.square(np.asarray(amplitude, np.float32)),
        np.ascontiguousarray(rotation[:, :2].reshape(-1, 6).T, np.float32), occupancy, overlap_table.series, pairs,
    )  # fmt: skip
    A = np.zeros((n, 4, n, 4))
    place = {(0, 0): 0, (0, 1): 1, (0, 2): 2, (1, 1): 3, (1, 2): 4, (2, 2): 5}
    upper = np.triu(np.ones((n, n), bool), 1)
    for (a, b), c in place.items():
        block = pairs[:, :, c] + np.where(upper, pairs[:, :, c], 0).T
        A[:, a, :, b] = block
        A[:, b, :, a] = block
    for a in range(3):
        # <d_a p_j, p_k> is odd in d: the other triangle has the opposite sign
        half = np.where(upper, pairs[:, :, 6 + a], 0)
        odd = half - half.T
        A[:, a, :, 3] = occupancy[:, None] * odd
        A[:, 3, :, a] = (occupancy[:, None] * odd).T
    A[:, 3, :, 3] = pairs[:, :, 9] + np.where(upper, pairs[:, :, 9], 0).T
    return A.reshape(4 * n, 4 * n)


def likelihood(filtered, xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude):
    """(f,) log-likelihood of each frame above that of an empty one, nats: a b' o - a^2 |sum_j o_j p_j|^2 / 2."""
    shown = read(filtered, xyz_A, rotation, shift_A) @ occupancy
    return amplitude * shown - np.square(amplitude) / 2 * model_norms(
        xyz_A, occupancy, rotation, overlap_table
    )


def atom_step(
    filtered,
    xyz_A,
    occupancy,
    overlap_table,
    rotation,
    shift_A,
    amplitude,
    occupancy_spread=0.1,
    damping=1e-3,
    cap_A=0.15,
    most_caps=1.0,
):
    """One Gauss-Newton step of all atoms with poses fixed.

    occupancy_spread : standard deviation of the prior N(1, spread) on occupancies
    damping : added to the diagonal as a share of it; also holds the free rotation and translation of the body
    cap_A, most_caps : largest move of an atom, see `_moved`
    returns xyz_A, occupancy, largest move (angstrom)
    """
    gradient, A = _equations(
        filtered, xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude, occupancy_spread
    )
    return _moved(xyz_A, occupancy, gradient, A, damping, cap_A, most_caps, rotation)[:3]


def free_step(
    filtered, xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude,
    occupancy_spread=0.1, damping=1e-3, cap_A=0.15, most_caps=1.0,
):  # fmt: skip
    """One Gauss-Newton step of all atoms and all poses together.

    Atoms and poses in turn come to rest slowly where they can give way to each other: a model seen from a narrow range
    of directions may stretch if the poses turn with it, and many turns undo little of it. Poses are eliminated here
    (the Schur complement, as in `covariances`), at some three times the cost of `atom_step`; those given must be the
    best ones for the atoms.
    returns xyz_A, occupancy, largest move (angstrom), change of the poses (f, 6): shift, turn, amplitude
    """
    gradient, A = _equations(
        filtered, xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude, occupancy_spread
    )
    for _, C, H in _couplings_of(xyz_A, occupancy, overlap_table, rotation, amplitude):
        _take_poses(A, C, H)
    # the body as a whole is free to turn and to slide, now that poses are: that part of a step means nothing
    stiff, basis = np.trace(A) / len(A), np.zeros((4 * len(xyz_A), 6))
    basis.reshape(-1, 4, 6)[:, :3] = _rigid(xyz_A).reshape(-1, 3, 6)
    A += stiff * basis @ basis.T
    xyz, o, length, move = _moved(xyz_A, occupancy, gradient, A, damping, cap_A, most_caps, rotation)
    change = np.empty((len(rotation), 6))
    for part, C, H in _couplings_of(xyz_A, occupancy, overlap_table, rotation, amplitude):
        change[part] = -np.linalg.solve(H, np.einsum("fai,a->fi", C, move)[..., None])[..., 0]
    return xyz, o, length, change


def _equations(filtered, xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude, occupancy_spread):
    """Gradient (4 n,) and Gauss-Newton matrix (4 n, 4 n) of all atoms with poses fixed, the occupancies' prior in."""
    n = len(xyz_A)
    per_frame = np.empty((len(rotation), n, 3), np.float32)
    _gradients(
        filtered.coefficient, filtered.centre, filtered.step_A, np.ascontiguousarray(xyz_A, float),
        np.ascontiguousarray(occupancy, float), overlap_table.series,
        np.ascontiguousarray(rotation, float), np.ascontiguousarray(shift_A, float),
        np.ascontiguousarray(amplitude, float), per_frame,
    )  # fmt: skip
    gradient = np.empty((n, 4))
    gradient[:, :3] = occupancy[:, None] * np.einsum(
        "fna,fac->nc", per_frame[:, :, :2], rotation[:, :2], optimize=True
    )
    gradient[:, 3] = per_frame[:, :, 2].sum(0, dtype=float) - (occupancy - 1) / occupancy_spread**2
    A = normal_matrix(xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude)
    diagonal = np.arange(3, 4 * n, 4)
    A[diagonal, diagonal] += 1 / occupancy_spread**2
    return gradient.ravel(), A


def _moved(xyz_A, occupancy, gradient, A, damping, cap_A, most_caps, rotation):
    """Atoms and occupancies after a damped step, the largest move, and the step taken (4 n,).

    A move is capped as the images see it, for it is they that are linear for some tenths of an angstrom only: cap_A
    where views are even, more along a direction that all of them look along, up to most_caps times as much.
    """
    n = len(xyz_A)
    diagonal = np.arange(4 * n)
    A[diagonal, diagonal] *= 1 + damping
    move = scipy.linalg.solve(A, gradient, assume_a="pos", overwrite_a=True).reshape(n, 4)
    length = np.linalg.norm(move[:, :3], axis=1)
    seen = np.sqrt(1.5 * np.einsum("na,ab,nb->n", move[:, :3], across(rotation), move[:, :3]))
    seen = np.maximum(seen, length / most_caps)
    move[:, :3] *= np.minimum(1, cap_A / np.maximum(seen, 1e-12))[:, None]
    move[:, 3] = np.clip(occupancy + np.clip(move[:, 3], -0.3, 0.3), 0.02, 2) - occupancy
    return xyz_A + move[:, :3], occupancy + move[:, 3], float(length.max()), move.ravel()


def fit_profile(
    frames, pixel_A, highpass, xyz_A, occupancy, rotation, shift_A, amplitude, sigmas_A=GAUSSIANS_A
):
    """The common radial profile: linear least squares on a few Gaussians, poses and atoms fixed.

    frames : (f, n, n) raw frames (a sample of some 150 is enough), unit noise
    returns Profile with a high-passed height of 1 at its centre, and the factor that moves into the amplitudes
    """
    single = [Profile(np.array([s]), np.array([1.0]), highpass) for s in sigmas_A]
    m = len(single)
    b = np.zeros(m)
    A = np.zeros((m, m))
    weight = np.asarray(amplitude, float)
    for i, one in enumerate(single):
        values = read(filter_frames(frames, pixel_A, one), xyz_A, rotation, shift_A)
        b[i] = (weight * (values @ occupancy)).sum()
        for j in range(i + 1):
            norms = model_norms(xyz_A, occupancy, rotation, overlap(one, single[j], pixel_A, cutoff=1e-5))
            A[i, j] = A[j, i] = (weight**2 * norms).sum()
    # Gaussians of similar width nearly cancel: a ridge of a thousandth keeps their weights of order one
    w = np.linalg.solve(A + 1e-3 * np.diag(np.diag(A)), b)
    height = Profile(np.array(sigmas_A), w, highpass).value(0.0)
    if height <= 0:
        raise ValueError("the fitted profile of an atom is not positive at its centre: the poses are wrong")
    return Profile(np.array(sigmas_A), w / height, highpass), float(height)


@numba.njit(parallel=True, fastmath=True, cache=True)
def _couplings(xyz, occupancy, series, R, alpha, C, H):
    """Overlap of every atom's (x, y, z, occupancy) with every pose parameter: C (f, 4 n, 6); H (f, 6, 6) of poses."""
    for f in numba.prange(len(R)):
        n = len(xyz)
        r = np.empty((n, 3))
        overlaps = np.empty((n, 3))
        changes = np.empty((n, 3, 5))
        poses = np.empty((5, 5))
        _turned(xyz, R[f], r)
        atom_overlaps(r, occupancy, series, overlaps)
        atom_changes(r, occupancy, series, changes)
        squared, by_x, by_y = pair_sums(r, occupancy, series, poses, True)
        a2 = alpha[f] * alpha[f]
        H[f] = 0
        for a in range(5):
            for b in range(5):
                H[f, a, b] = a2 * poses[a, b]
        H[f, 5, 5] = squared
        H[f, 2, 5] = H[f, 5, 2] = alpha[f] * by_x / 2
        H[f, 3, 5] = H[f, 5, 3] = alpha[f] * by_y / 2
        for j in range(n):
            o = occupancy[j]
            for c in range(3):
                for b in range(5):
                    C[f, 4 * j + c, b] = (
                        a2 * o * (R[f, 0, c] * changes[j, 0, b] + R[f, 1, c] * changes[j, 1, b])
                    )
                C[f, 4 * j + c, 5] = (
                    alpha[f] * o * (R[f, 0, c] * overlaps[j, 1] + R[f, 1, c] * overlaps[j, 2])
                )
            for b in range(5):
                C[f, 4 * j + 3, b] = a2 * changes[j, 2, b]
            C[f, 4 * j + 3, 5] = alpha[f] * overlaps[j, 0]


def _couplings_of(xyz_A, occupancy, overlap_table, rotation, amplitude, chunk=64):
    """Some frames at a time: their slice, C (f, 4 n, 6) of atoms and poses, H (f, 6, 6) of poses."""
    n = len(xyz_A)
    xyz, occupancy = np.ascontiguousarray(xyz_A, float), np.ascontiguousarray(occupancy, float)
    for first in range(0, len(rotation), chunk):
        part = slice(first, min(first + chunk, len(rotation)))
        C = np.zeros((part.stop - first, 4 * n, 6))
        H = np.zeros((part.stop - first, 6, 6))
        R, a = np.ascontiguousarray(rotation[part], float), np.asarray(amplitude[part], float)
        _couplings(xyz, occupancy, overlap_table.series, R, a, C, H)
        H[:, np.arange(6), np.arange(6)] *= 1 + 1e-9
        yield part, C, H


def _take_poses(A, C, H):
    """Take from the information A what the poses of some frames could take up: A - sum_f C H^-1 C'."""
    root = np.linalg.inv(np.linalg.cholesky(H)).swapaxes(1, 2)
    half = np.matmul(C, root).swapaxes(1, 2).reshape(-1, len(A))
    A -= half.T @ half


def covariances(xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude, occupancy_spread=0.1):
    """Cramer-Rao covariance of every atom, poses known and poses marginalised.

    The three rotations and three translations of the whole body are gauge: they are projected out, so an error bar
    is that of an atom's place in the body.
    returns covariance_A2 (n, 3, 3) with free poses, the same with known poses, sigma of the occupancies (n,)
    """
    n = len(xyz_A)
    A = normal_matrix(xyz_A, occupancy, overlap_table, rotation, shift_A, amplitude)
    A[np.arange(3, 4 * n, 4), np.arange(3, 4 * n, 4)] += 1 / occupancy_spread**2
    occupancy_sigma = np.sqrt(np.diag(np.linalg.inv(A[3::4, 3::4])))
    known = _blocks(_gauge_free_inverse(_without_occupancies(A), xyz_A))
    for _, C, H in _couplings_of(xyz_A, occupancy, overlap_table, rotation, amplitude):
        _take_poses(A, C, H)
    return _blocks(_gauge_free_inverse(_without_occupancies(A), xyz_A)), known, occupancy_sigma


def _without_occupancies(A):
    """Information of the positions alone, (3 n, 3 n), occupancies marginalised.

    Poses have to be marginalised before, on positions and occupancies alike: an amplitude that may take up what
    occupancies have taken up already would be counted twice.
    """
    n = len(A) // 4
    A = A.reshape(n, 4, n, 4)
    cross = A[:, :3, :, 3].reshape(3 * n, n)
    positions = A[:, :3, :, :3].reshape(3 * n, 3 * n)
    return positions - cross @ np.linalg.solve(A[:, 3, :, 3], cross.T)


def _rigid(xyz_A):
    """(3 n, 6) orthonormal basis of the body's translations and rotations."""
    away = xyz_A - xyz_A.mean(0)
    gauge = np.zeros((3 * len(xyz_A), 6))
    for c in range(3):
        gauge[c::3, c] = 1
        gauge[:, 3 + c] = np.cross(np.eye(3)[c], away).ravel()
    return np.linalg.qr(gauge)[0]


def _gauge_free_inverse(A, xyz_A):
    """Inverse on the complement of the body's own rotations and translations."""
    basis = _rigid(xyz_A)
    # a large stiffness along the gauge takes it out of the inverse; what is left of it is subtracted exactly
    stiff = np.trace(A) / len(A)
    inverse = scipy.linalg.inv(A + stiff * basis @ basis.T + 1e-9 * stiff * np.eye(len(A)), overwrite_a=True)
    projector = np.eye(len(A)) - basis @ basis.T
    return projector @ inverse @ projector


def _blocks(covariance):
    """(n, 3, 3) diagonal blocks of a (3 n, 3 n) matrix."""
    n = len(covariance) // 3
    rows = np.arange(n)
    return covariance.reshape(n, 3, n, 3)[rows, :, rows, :]
