import numpy as np
import pytest
from sklearn.decomposition import PCA, KernelPCA

from perrin.frames import kpca


def frames(f=60, d=144, rank=5, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal((f, rank)) @ rng.standard_normal((rank, d))
    return (signal + noise * rng.standard_normal((f, d)) + 3).astype(np.float32)


def test_exact_is_the_pca_of_unit_frames():
    """scikit-learn as oracle: catches a wrong centring, scaling back, or order of frames."""
    x = frames()
    mean = x.mean(0)
    length = np.linalg.norm(x - mean, axis=1, keepdims=True)
    unit = (x - mean) / length
    pca = PCA(7, svd_solver="full").fit(unit)
    expected = pca.inverse_transform(pca.transform(unit)) * length + mean
    out, values, weights = kpca.exact(x, 7)
    assert np.allclose(out, expected, atol=2e-4)
    assert np.allclose(values, pca.explained_variance_ * (len(x) - 1), rtol=1e-4)
    assert (weights == 1).all()


def test_exact_is_kernel_pca_with_the_cosine_kernel():
    """The kernel's own eigenvalues: catches a kernel that is not the paper's."""
    x = frames()
    oracle = KernelPCA(6, kernel="cosine").fit(x - x.mean(0))
    assert np.allclose(kpca.exact(x, 6)[1], oracle.eigenvalues_, rtol=1e-4)


def test_all_components_return_the_input():
    """Catches a loss that the number of components does not explain; 500 of 60 frames means 59."""
    x = frames()
    out, values, _ = kpca.exact(x, 500)
    assert len(values) == 59
    assert np.abs(out - x).max() < 1e-3


def test_closed_form_keeps_contrast():
    """Catches pre-images whose amplitude is not the input's: slope 1 against the noise-free frames."""
    clean, noisy = frames(400, noise=0), frames(400, noise=1.0)
    out, _, _ = kpca.exact(noisy, 5)
    a, b = clean - clean.mean(0), out - out.mean(0)
    assert (a * b).sum() / (a * a).sum() == pytest.approx(1, abs=0.1)


def test_random_and_direct_components_agree():
    """Catches a range finder that misses components: compared with numpy's SVD."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((500, 40)) @ np.diag(0.8 ** np.arange(40)) @ rng.standard_normal((40, 600))
    x = (x + 0.01 * rng.standard_normal(x.shape)).astype(np.float32)
    values, vectors = kpca.principal_components(x, 10)
    _, s, v = np.linalg.svd(x.astype(float), full_matrices=False)
    assert np.allclose(np.sqrt(values), s[:10], rtol=1e-3)
    assert np.allclose(np.abs((vectors * v[:10]).sum(1)), 1, atol=1e-3)
    assert np.allclose(vectors @ vectors.T, np.eye(10), atol=1e-4)
    for row in vectors:
        assert row[np.abs(row).argmax()] > 0


@pytest.mark.parametrize("shape", [(50, 300), (300, 50)])
def test_components_of_both_shapes(shape):
    """Catches the Gram matrix taken over the wrong side."""
    x = np.random.default_rng(2).standard_normal(shape).astype(np.float32)
    values, vectors = kpca.principal_components(x, 8)
    assert np.allclose(np.sqrt(values), np.linalg.svd(x)[1][:8], rtol=1e-4)
    assert vectors.shape == (8, shape[1])


def direct_preimage(x, q, weighting, iterations=14, tolerance=1e-4):
    """The program's loops, written out over pixels."""
    mean = x.mean(0)
    p = (x - mean).astype(float)
    n = p / np.linalg.norm(p, axis=1, keepdims=True)
    k = n @ n.T
    one = np.full(k.shape, 1 / len(k))
    values, v = np.linalg.eigh(k - one @ k - k @ one + one @ k @ one)
    values, v = values[::-1][:q], v[:, ::-1][:, :q]
    w = np.ones(q) if weighting == "projector" else len(x) / values
    g = (v * w) @ v.T
    out = np.empty_like(p)
    for j in range(len(p)):
        u = n[j]
        for _ in range(iterations):
            c = (n @ u) * g[:, j]
            new = (c[:, None] * p).sum(0) / np.abs(c).sum()
            last, u = u, new / np.linalg.norm(new)
            if abs(u @ last - 1) <= tolerance:
                break
        out[j] = new + mean
    return out


@pytest.mark.parametrize("weighting", ["projector", "program"])
def test_the_iterated_preimage_is_the_programs(weighting):
    """Catches a changed fixed point: compared with the loops over pixels."""
    x = frames(40, 100)
    out, _, _ = kpca.preimage_iteration(x, 6, weighting, chunk=16)
    assert np.allclose(out, direct_preimage(x, 6, weighting), atol=5e-3)


def test_ridge_is_scikit_learns():
    """scikit-learn as oracle for the learnt pre-image."""
    x = frames(50, 80)
    mean = x.mean(0)
    oracle = KernelPCA(6, kernel="cosine", fit_inverse_transform=True, alpha=1.0)
    expected = oracle.inverse_transform(oracle.fit_transform((x - mean).astype(float))) + mean
    assert np.allclose(kpca.ridge(x, 6)[0], expected, atol=2e-3)


def test_the_block_krylov_pairs_are_those_of_a_dense_solver(monkeypatch):
    """Catches a kernel that is not centred, pairs out of order, and a space too small for what lies in the noise."""
    x = frames(700, 900, rank=8, noise=1.0)
    rows = x - x.mean(0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    kernel = unit @ unit.T
    want_values, want = kpca.leading_pairs(kernel, 40)
    monkeypatch.setattr(kpca, "DIRECT", 100)
    values, vectors = kpca.leading_pairs(kernel, 40)
    assert np.allclose(values[:8], want_values[:8], rtol=1e-4)
    assert np.allclose(np.abs((vectors * want)[:, :8].sum(0)), 1, atol=1e-3)
    assert np.allclose(vectors.T @ vectors, np.eye(40), atol=1e-4)
    # the others are of noise alone, whose spectrum is dense
    assert 0.95 < values[8:].sum() / want_values[8:].sum() <= 1 + 1e-5
    assert kpca.leading_pairs(kernel, 40)[1].tobytes() == vectors.tobytes()
