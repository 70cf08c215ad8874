"""ICM: the closed form against the search over all levels, and what each variant promises."""

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.records import Map
from perrin.maps import icm as module
from perrin.maps.icm import face_variance, icm, program_noise, quantise


def neighbours(x, z, y, c):
    """The values of the face neighbours, by hand."""
    found = []
    for axis, way in ((0, -1), (0, 1), (1, -1), (1, 1), (2, -1), (2, 1)):
        at = [z, y, c]
        at[axis] += way
        if 0 <= at[axis] < x.shape[axis]:
            found.append(x[tuple(at)])
    return np.array(found, float)


def searched(levels, v, lam, in_place):
    """One sweep of Algorithm 1 by trying all 256 levels, lowest first on ties."""
    candidates = np.arange(256.0)
    old = levels.astype(float)
    new = old.copy()
    for index in np.ndindex(levels.shape):
        source = new if in_place else old
        y = neighbours(source, *index)
        energy = lam * np.square(candidates[:, None] - y).sum(1)
        # times 2 v, so that v = 0 means the voxel's own level
        energy = np.square(candidates - source[index]) + 2 * v[index] * energy
        new[index] = np.argmin(energy)
    return new.astype(np.int16)


def one_sweep(levels, v, lam, in_place):
    pull = (2 * lam * v).astype(np.float64)
    x, out = np.pad(levels, 1), np.pad(levels, 1)
    if in_place:
        module._in_place(x, pull)
        return x[1:-1, 1:-1, 1:-1]
    module._jacobi(x, pull, out)
    return out[1:-1, 1:-1, 1:-1]


@pytest.mark.parametrize("in_place", [False, True])
def test_closed_form_equals_the_search_over_levels(in_place):
    """Catches the printed sign, a wrong number of neighbours at faces, edges and corners, a wrong rounding."""
    rng = np.random.default_rng(0)
    for trial in range(6):
        levels = rng.integers(0, 256, (9, 7, 8)).astype(np.int16)
        v = rng.gamma(1.0, 10.0**trial / 100, levels.shape)
        v[0, :3] = 0
        np.testing.assert_array_equal(one_sweep(levels, v, 0.1, in_place), searched(levels, v, 0.1, in_place))


@pytest.mark.parametrize("variant", ["published", "program"])
@pytest.mark.parametrize("trial", range(3))
def test_all_sweeps_on_random_volumes_are_those_of_the_search(variant, trial):
    """The whole function against the exhaustive search: equal in every voxel, after all sweeps, in both halves.

    Catches a noise of other units, sweeps that read the wrong volume, levels of one half taken for the other's.
    """
    rng = np.random.default_rng([trial, 9])
    shape, lam = (8, 9, 7), 0.1
    signal = rng.normal(size=shape) * rng.choice([0.3, 3.0])
    halves = [Map((signal + rng.normal(size=shape)).astype(np.float32), 0.3) for _ in range(2)]
    noise = halves[1].data - halves[0].data
    for half, found in zip(halves, icm(*halves, lam=lam, variant=variant)):
        levels, table = quantise(half.data)
        if variant == "program":
            pull = np.float32(2 * lam) * program_noise(noise)
        else:
            step = float(half.data.max() - half.data.min()) / 255
            pull = np.float32(2 * lam) * np.sqrt(face_variance(noise)) * np.float32(1 / step)
        for _ in range(module.SWEEPS):
            levels = searched(levels, pull.astype(float) / (2 * lam), lam, variant == "published")
        np.testing.assert_array_equal(found.data, table.astype(np.float32)[levels])


def test_a_tie_goes_to_the_lower_level():
    """Catches rounding halves up or to even: p = 0, one neighbour of 1, equal weights give x* = 1/2, 3/2."""
    for low in (0, 1):
        levels = np.array([[[low, low + 1]]], np.int16)
        np.testing.assert_array_equal(
            one_sweep(levels, np.full((1, 1, 2), 5.0), 0.1, False)[0, 0], [low, low]
        )


def test_face_variance_is_the_sample_variance_of_the_neighbours():
    """Catches the centre being counted, and wrong counts at the border."""
    noise = np.random.default_rng(1).normal(size=(5, 4, 6))
    expected = np.array([neighbours(noise, *at).var(ddof=1) for at in np.ndindex(noise.shape)]).reshape(
        noise.shape
    )
    np.testing.assert_allclose(face_variance(noise), expected, rtol=2e-5, atol=1e-6)


def test_equal_halves_give_the_seven_point_mean():
    """Catches a wrong noise scale: without noise the program has v = 5, so x* = (p + S) / 7 inside."""
    data = np.random.default_rng(2).normal(size=(12, 12, 12)).astype(np.float32)
    even, odd = icm(Map(data, 0.3), Map(data, 0.3), variant="program", sweeps=1)
    np.testing.assert_array_equal(even.data, odd.data)
    inside = np.s_[1:-1, 1:-1, 1:-1]
    mean = sum(np.roll(data, way, axis) for axis in range(3) for way in (-1, 1)) + data
    step = (data.max() - data.min()) / 255
    assert np.abs(even.data[inside] - mean[inside] / 7).max() < 2 * step


def test_program_noise_has_the_programs_scale():
    """Catches a rescaling that is not mean 5, sd 2 over the whole box."""
    noise = np.random.default_rng(3).normal(size=(40,) * 3)
    v = program_noise(noise)
    assert v.mean() == pytest.approx(5, abs=0.02) and v.std() == pytest.approx(2, abs=0.03)
    assert v.min() >= 0


@pytest.mark.parametrize("variant", module.VARIANTS)
def test_constant_stays_and_results_stay_within_the_data(variant):
    """Catches voxels that run away from their neighbours: the printed plus sign."""
    flat = Map(np.full((6, 6, 6), 2.5, np.float32), 0.3)
    np.testing.assert_allclose(icm(flat, flat, variant=variant)[0].data, 2.5, rtol=1e-6)
    rng = np.random.default_rng(4)
    halves = [Map(rng.normal(size=(10, 10, 10)).astype(np.float32), 0.3) for _ in range(2)]
    for before, after in zip(halves, icm(*halves, variant=variant)):
        assert before.data.min() <= after.data.min() and after.data.max() <= before.data.max()


def test_anchored_solves_its_equation():
    """Catches sweeps that converge elsewhere: residual of (1 + t L) x = p after many red-black sweeps."""
    rng = np.random.default_rng(5)
    data = rng.normal(size=(7, 8, 9)).astype(np.float32)
    pull = rng.gamma(1, 0.3, data.shape).astype(np.float32)
    x = module._anchored(data, pull, 60)
    for at in np.ndindex(data.shape):
        y = neighbours(x, *at)
        assert x[at] + pull[at] * np.sum(x[at] - y) == pytest.approx(data[at], abs=2e-5)


def test_anchored_does_not_depend_on_units():
    """Catches a lam that changes meaning with the map's scale."""
    rng = np.random.default_rng(6)
    signal = rng.normal(size=(12,) * 3)
    halves = [Map((signal + rng.normal(size=(12,) * 3)).astype(np.float32), 0.3) for _ in range(2)]
    a = icm(*halves, variant="anchored")[0].data
    b = icm(*(Map(m.data * 1000, 0.3) for m in halves), variant="anchored")[0].data
    np.testing.assert_allclose(b, a * 1000, rtol=1e-3, atol=1e-2)


def test_levels_and_their_values():
    """Catches a table that does not give back the map: every voxel within half a step, empty levels between."""
    data = np.array([0.0, 0.1, 10.0, 10.0]).reshape(1, 1, 4).astype(np.float32)
    levels, table = quantise(data)
    np.testing.assert_array_equal(levels.ravel(), [0, 3, 255, 255])
    assert table[3] == pytest.approx(0.1) and table[129] == pytest.approx(5.05, abs=0.01)


def test_unknown_variant_is_refused():
    """Catches a misspelt name falling through to a default."""
    with pytest.raises(InputError, match="published"):
        icm(Map(np.zeros((4, 4, 4)), 1), Map(np.zeros((4, 4, 4)), 1), variant="best")
