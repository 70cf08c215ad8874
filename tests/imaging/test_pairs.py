"""Sums over pairs of atoms against the same sums in double precision with the closed form of the overlap."""

import numpy as np
import pytest

from perrin.imaging.pairs import atom_changes, atom_overlaps, pair_sums
from perrin.imaging.profile import Profile, overlap

PROFILE = Profile(np.array([0.35, 0.55]), np.array([0.6, 0.7]), 0.2)


def closed_form(q, pixel_A=0.358):
    """K and its first two derivatives at squared distance q."""
    K, K1, K2 = np.zeros((3, *np.shape(q)))
    for w, v in PROFILE._gaussians():
        for x, u in PROFILE._gaussians():
            k = w * x * np.exp(-q / (2 * (v + u))) / (2 * np.pi * (v + u)) / pixel_A**2
            K += k
            K1 -= k / (2 * (v + u))
            K2 += k / (4 * (v + u) ** 2)
    return K, K1, K2


@pytest.fixture(scope="module", params=[2, 7, 320])
def atoms(request):
    """Some atoms on a ball of their own density, of unequal strength; 320 fill several blocks of pairs."""
    rng = np.random.default_rng(request.param)
    r = rng.normal(size=(request.param, 3))
    r *= (2 * request.param ** (1 / 3) * rng.random(request.param) ** (1 / 3) / np.linalg.norm(r, axis=1))[
        :, None
    ]
    return r, rng.uniform(0.3, 1.2, request.param)


def changes(r):
    """V (2, n, 5): change of every atom's place with (s_x, s_y, w_x, w_y, w_z)."""
    x, y, z = r.T
    one, zero = np.ones(len(r)), np.zeros(len(r))
    return np.array([np.stack([one, zero, zero, z, -y], 1), np.stack([zero, one, -z, zero, x], 1)])


def brute(r, o, reach2):
    d = r[:, None, :2] - r[None, :, :2]
    q = (d**2).sum(-1)
    K, K1, K2 = np.where(q < reach2, closed_form(q), 0)
    M = -2 * K1[..., None, None] * np.eye(2) - 4 * K2[..., None, None] * d[..., :, None] * d[..., None, :]
    V = changes(r)
    pull = 2 * K1[..., None] * d * (o[:, None] * o)[..., None]  # of the pair's overlap in u_j
    gradient = 2 * np.einsum("jka,aji->i", pull, V)
    H = np.einsum("j,k,aji,jkab,bkl->il", o, o, V, M, V)
    F = np.einsum("k,jkab,bkl->jal", o, M, V)
    F = np.concatenate([F, -2 * np.einsum("k,jk,jka,akl->jl", o, K1, d, V)[:, None]], axis=1)
    return o @ K @ o, gradient, H, F, K @ o, 2 * np.einsum("jk,jka,k->ja", K1, d, o)


def test_norm_gradient_and_matrix_of_a_projected_model(atoms):
    """Would catch a lost pair at the seam of two blocks, a sign of one of the 15 sums, a wrong rest of a row."""
    r, o = atoms
    K = overlap(PROFILE, PROFILE, 0.358)
    norm, gradient, H, *_ = brute(r, o, K.series[3])
    found = np.full((5, 5), np.nan)
    squared, by_x, by_y = pair_sums(r, o, K.series, found, True)
    assert squared == pytest.approx(norm, rel=1e-5)
    size = np.sqrt(np.outer(np.diag(H), np.diag(H)))
    assert np.abs((found - H) / size).max() < 1e-4
    # against the size of the terms, which cancel: the gradient of a lone pair along a symmetry axis is nothing
    assert np.abs(np.array([by_x, by_y]) - gradient[2:4]).max() < 1e-4 * np.sqrt(H[2, 2] * norm)
    assert np.abs(gradient[[0, 1, 4]]).max() < 1e-9 * max(norm, 1)
    again = pair_sums(r, o, K.series, found, False)
    assert again == (squared, by_x, by_y)


def test_overlaps_and_changes_of_every_atom(atoms):
    r, o = atoms
    K = overlap(PROFILE, PROFILE, 0.358)
    *_, F, overlaps, pulls = brute(r, o, K.series[3])
    found = np.full((len(r), 3), np.nan)
    atom_overlaps(r, o, K.series, found)
    assert np.abs(found[:, 0] - overlaps).max() < 1e-5 * K.table[0, 0]
    assert np.abs(found[:, 1:] - pulls).max() < 1e-4 * np.abs(K.table[:, 1]).max()
    changed = np.full((len(r), 3, 5), np.nan)
    atom_changes(r, o, K.series, changed)
    assert np.abs(changed - F).max() < 1e-4 * np.abs(F).max()
