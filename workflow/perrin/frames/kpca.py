"""Kernel principal components of frames with the cosine kernel, and pre-images.

The kernel k(P_i, P_j) = P_i.P_j / (|P_i| |P_j|) of the paper (Methods, "Denoising through kernel-PCA") is linear in
n_i = P_i / |P_i|, so that kernel PCA is the PCA of the unit-normalised frames and its least-squares pre-image has
a closed form (`exact`). The iterations of the authors' program and scikit-learn's ridge pre-image have functions
of their own. Frames are rows; the mean frame is subtracted before and added after.
"""

import numpy as np
import scipy.linalg

CHUNK = 512
DIRECT, BLOCKS = 2500, 4  # frames up to which a dense solver is quicker; powers of the kernel beyond


def unit_rows(frames):
    """Frames minus their mean frame, and the length of each row (never 0). (f, d) float32 -> mean, rows, length."""
    mean = frames.mean(0, dtype=np.float64).astype(np.float32)
    rows = frames - mean
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64)).astype(np.float32)
    return mean, rows, np.where(length > 0, length, 1).astype(np.float32)


def principal_components(rows, components, seed=0, oversample=16, passes=3):
    """Largest eigenpairs of rows^T rows.

    rows : (f, d) float32, already centred; components : how many, at most min(f, d)
    Three ways with one result: the Gram matrix of the smaller side where that is cheap, else a randomised range
    finder with power iterations (Halko, Martinsson & Tropp, SIAM Review 53, 217 (2011)), linear in f and d.
    -> eigenvalues (q,) float64 descending, vectors (q, d) float32, rows orthonormal; the largest entry of every
    vector is positive
    """
    f, d = rows.shape
    q = min(components, f, d)
    width = min(q + oversample, f, d)
    cost_small = f * d * min(f, d) + 5 * min(f, d) ** 3
    cost_random = 4 * passes * f * d * width
    if cost_small <= cost_random or min(f, d) <= width:
        if d <= f:
            values, v = _top(rows.T @ rows, q)
            vectors = v.T
        else:
            values, u = _top(rows @ rows.T, q)
            vectors = u.T @ rows
    else:
        rng = np.random.default_rng(seed)
        basis = rng.standard_normal((d, width), dtype=np.float32)
        for _ in range(passes):
            basis = rows.T @ np.linalg.qr(rows @ basis)[0]
        left = np.linalg.qr(rows @ np.linalg.qr(basis)[0])[0]
        small = left.T @ rows
        values, u = _top(small @ small.T, q)
        vectors = u.T @ small
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    sign = np.sign(vectors[np.arange(len(vectors)), np.abs(vectors).argmax(1)])
    vectors *= np.where(sign == 0, 1, sign)[:, None]
    return np.maximum(values, 0).astype(np.float64), vectors


def _top(matrix, q):
    """The q largest eigenpairs of a symmetric matrix, descending; vectors in columns."""
    n = len(matrix)
    values, vectors = scipy.linalg.eigh(matrix, subset_by_index=(n - q, n - 1), check_finite=False)
    return values[::-1], np.ascontiguousarray(vectors[:, ::-1])


def _analysed(frames, components, seed):
    """Centred unit rows and their components: mean, rows (f, d), length (f,), middle (d,), values, vectors."""
    components = min(components, len(frames) - 1, frames.shape[1])
    mean, rows, length = unit_rows(frames)
    rows /= length[:, None]
    middle = rows.mean(0, dtype=np.float64).astype(np.float32)
    rows -= middle
    values, vectors = principal_components(rows, components, seed)
    return mean, rows, length, middle, values, vectors


def exact(frames, components, seed=0):
    """Closed form: each unit frame projected onto the leading components, brought back to its length.

    n^_j = nbar + sum_k u_k u_k^T (n_j - nbar);  P^_j = |P_j| n^_j + mean
    frames : (f, d) float32 -> denoised (f, d) float32, eigenvalues, weights (1 for each kept component)
    """
    mean, rows, length, middle, values, vectors = _analysed(frames, components, seed)
    for a in range(0, len(rows), CHUNK):
        part = slice(a, a + CHUNK)
        rows[part] = ((rows[part] @ vectors.T) @ vectors + middle) * length[part, None] + mean
    return rows, values, np.ones(len(values))


def cosine_kernel(rows, length):
    """(f, f) cosines between rows."""
    kernel = rows @ rows.T
    kernel /= length
    kernel /= length[:, None]
    return kernel


def leading_pairs(kernel, q, seed=0):
    """The q largest eigenpairs of the centred kernel H K H, H = 1 - (1 / f) sum.

    kernel : (f, f) symmetric, float32
    Up to DIRECT frames by a dense solver. Beyond, in a block Krylov space (Musco & Musco, NIPS 28 (2015)): BLOCKS
    powers of the kernel on q + 16 random vectors, in matrix products alone. Components above the noise come out as
    they are; of those within it, whose spectrum is dense, a few hundredths of the variance are missed.
    -> eigenvalues (q,) float64 descending, vectors (f, q) float32 in columns
    """
    f = len(kernel)
    width = q + 16
    if f <= DIRECT or BLOCKS * width > f:
        across = kernel.mean(0)
        return _top(kernel - across - across[:, None] + kernel.mean(), q)

    def product(x):
        y = kernel @ (x - x.mean(0))
        return y - y.mean(0)

    block = np.random.default_rng(seed).standard_normal((f, width), dtype=np.float32)
    space = np.empty((f, BLOCKS * width), np.float32)
    for number in range(BLOCKS):
        block = np.linalg.qr(product(block))[0]
        space[:, number * width : (number + 1) * width] = block
    basis = scipy.linalg.qr(space, mode="economic", overwrite_a=True, check_finite=False)[0]
    values, small = _top(basis.T @ product(basis), q)
    return values.astype(np.float64), basis @ small


def preimage_iteration(
    frames, components, weighting="projector", iterations=14, tolerance=1e-4, chunk=256, seed=0
):
    """The fixed-point pre-image of the authors' program.

    G = sum_k w_k v_k v_k^T over the leading eigenvectors of the centred kernel. For each frame j, from u = n_j:
    c_i = (n_i . u) G_ij;  x <- sum_i c_i p_i / sum_i |c_i|;  u <- x / |x|, until |u . u_prev - 1| <= tolerance.
    weighting : "projector" (w = 1, kernel-PCA theory) or "program" (w = f / lambda, as its source computes it)
    Every iterate is a combination of the frames, so that the iteration runs on coefficients and the Gram matrix
    and touches the pixels once.
    frames : (f, d) float32 -> denoised (f, d), eigenvalues, weights
    """
    f = len(frames)
    components = min(components, f - 1)
    mean, rows, length = unit_rows(frames)
    kernel = cosine_kernel(rows, length)
    values, v = leading_pairs(kernel, components, seed)
    if weighting == "program":
        weights = f / np.maximum(np.abs(values), 1e-6 * np.abs(values).max())
    else:
        weights = np.ones(len(values))
    out = np.empty_like(rows)
    for a in range(0, f, chunk):
        own = np.arange(a, min(a + chunk, f))
        g = (v * weights.astype(v.dtype)) @ v[own].T
        similarity = kernel[:, own].copy()
        result = np.zeros((f, len(own)), np.float32)
        active = np.arange(len(own))
        # coefficients on n_i of the unit vector u of each frame
        u_old = np.zeros((f, len(own)), np.float32)
        u_old[own, np.arange(len(own))] = 1
        for step in range(iterations):
            c = similarity * g[:, active]
            total = np.abs(c).sum(0)
            # x on the unnormalised frames p_i = |p_i| n_i
            x = c / np.where(total > 0, total, 1) * length[:, None]
            projected = kernel @ x
            norm = np.sqrt(np.maximum(np.einsum("ij,ij->j", x, projected), 1e-30))
            result[:, active] = x
            similarity = projected / norm
            change = np.abs(np.einsum("ij,ij->j", u_old, similarity) - 1)
            u_old = x / norm
            go = change > tolerance
            if not go.any() or step == iterations - 1:
                break
            active, similarity, u_old = active[go], similarity[:, go], u_old[:, go]
        out[own] = (result / length[:, None]).T @ rows + mean
    return out, values.astype(float), weights.astype(float)


def ridge(frames, components, alpha=1.0, seed=0):
    """Pre-images learnt by kernel ridge regression from the scores back to the frames, as scikit-learn does.

    Bakir, Weston & Schoelkopf, NIPS 16 (2004). The regression's kernel is the cosine of the scores, S S^T with S the
    scores at unit length, so that S S^T (S S^T + alpha)^-1 rows = S (S^T S + alpha)^-1 S^T rows: linear in f.
    frames : (f, d) float32 -> denoised (f, d), eigenvalues, weights
    """
    mean, rows, length, middle, values, vectors = _analysed(frames, components, seed)
    scores = rows @ vectors.T
    size = np.linalg.norm(scores, axis=1, keepdims=True)
    scores /= np.where(size > 0, size, 1)
    # S^T (length (rows + middle)): the frames themselves, less their mean
    weighted = scores * length[:, None]
    target = weighted.T @ rows + np.outer(weighted.sum(0), middle)
    regular = scores.T.astype(np.float64) @ scores + alpha * np.eye(scores.shape[1])
    learnt = scipy.linalg.solve(regular, target, assume_a="pos").astype(np.float32)
    for a in range(0, len(rows), CHUNK):
        rows[a : a + CHUNK] = scores[a : a + CHUNK] @ learnt + mean
    return rows, values, np.ones(len(values))
