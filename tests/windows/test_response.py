"""The response of dense columns: recovered where planted, straight where images are linear, and what it prevents."""

import numpy as np
import pytest
from planted import HEIGHT, PIXEL, PROFILE, particle, walk

from perrin.imaging.profile import overlap
from perrin.windows.evidence import assemble, project
from perrin.windows.lives import changes_of, thresholds
from perrin.windows.response import Response, fit_response, linear
from perrin.windows.solve import solve_lives

K = overlap(PROFILE, PROFILE, PIXEL)


def bent(m):
    """A response that saturates: 3 for 4 atoms."""
    return np.where(m < 2, m, 2 + 0.5 * (m - 2))


def samples(expected, count=200_000, information=2.0, seed=4):
    rng = np.random.default_rng(seed)
    m = rng.exponential(0.9, count)
    return expected(m) + rng.normal(0, information**-0.5, count), m, np.full(count, information)


def test_of_a_linear_image_is_a_straight_line():
    """Would catch a bias of the prior or of the normalisation; errors are a few times 1 / sqrt(2 * samples a knot)."""
    found = fit_response(*samples(lambda m: m))
    at = np.array([0.0, 0.5, 1.0, 2.0, 3.0])
    np.testing.assert_allclose(found.expected(at), at, atol=0.03)
    np.testing.assert_allclose(found.scatter[2:9], 1, atol=0.06)


def test_planted_curve_is_found_and_the_height_of_one_atom_is_one():
    """Would catch knots that are off by one, or a scale left in the curve."""
    y, m, information = samples(lambda m: 0.8 * bent(m))
    found = fit_response(y, m, information)
    at = np.array([0.0, 1.0, 1.5, 3.0, 4.0])
    np.testing.assert_allclose(found.expected(at), bent(at), atol=0.05)


def test_scatter_is_the_variance_over_the_noise():
    rng = np.random.default_rng(8)
    m = rng.uniform(0, 4, 300_000)
    y = m + rng.normal(0, np.sqrt(np.where(m > 2.5, 2.0, 1.0)))
    found = fit_response(y, m, np.ones(len(m)))
    np.testing.assert_allclose(found.scatter[[3, 5]], 1, atol=0.05)
    np.testing.assert_allclose(found.scatter[[9, 10]], 2, atol=0.1)


def test_worth_is_the_ratio_of_two_normal_densities():
    response = Response(bent(linear().mean), 1 + 0.1 * np.arange(len(linear().mean)))
    rng = np.random.default_rng(2)
    y, others, information = rng.normal(2, 1, 50), rng.uniform(-0.5, 6, 50), 1.7
    scatter = np.interp(others + 0.5, linear().mean, response.scatter)
    variance = scatter / information
    apart = [np.square(y - response.expected(others + one)) / (2 * variance) for one in (0, 1)]
    np.testing.assert_allclose(
        information * response.worth(y, others), apart[0] - apart[1], rtol=1e-4, atol=1e-4
    )


def test_too_little_of_what_was_presumed_teaches_nothing():
    y, m, information = samples(lambda m: 0.1 * m, count=5_000)
    np.testing.assert_array_equal(fit_response(y, m, information).mean, linear().mean)


@pytest.mark.parametrize("first", [120, 240])
@pytest.mark.parametrize("columns", [bent, lambda m: m])
def test_atoms_of_a_dense_column_do_not_seem_to_leave(columns, first):
    """A view along columns that do not add up, for a while or until the movie's end: no atom left or was away."""
    xyz, rotation = particle(), walk(300)
    rotation[first : first + 60] = np.eye(3)
    u = project(xyz, rotation, np.zeros((300, 2)))
    present = np.ones((300, len(xyz)), np.float32)
    empty = assemble(np.arange(300), np.zeros_like(present), u, present, np.full(300, HEIGHT), K, 2.5)
    K0 = K.table[0, 0]
    m = empty.m / K0
    assert m[first : first + 60].max() > 3
    rng = np.random.default_rng(3)
    b = (HEIGHT * K0 * columns(m) + rng.normal(0, np.sqrt(K0), m.shape)).astype(np.float32)
    state = assemble(np.arange(300), b, u, present, np.full(300, HEIGHT), K, 2.5)
    solve_lives(state, thresholds(len(xyz), 300, 0.01, 1.15))
    assert not any(len(changes_of(state.present[:, j] > 0.5)) for j in range(len(xyz)))
