"""Maps from known poses: round trips, adjointness, conventions, and independence of threads."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from scipy import fft

from perrin.files.errors import InputError
from perrin.imaging.fourier import centred_irfftn, centred_rfftn
from perrin.imaging.rotations import matrices
from perrin.imaging.slices import padded_size, project
from perrin.maps.fsc import fsc
from perrin.maps.halves import half_sets
from perrin.maps.leastsquares import adjoint, point_spread
from perrin.maps.reconstruct import reconstruct, reconstruct_sets


def correlation(a, b):
    return np.vdot(a, b) / np.sqrt(np.vdot(a, a) * np.vdot(b, b))


@pytest.mark.parametrize("n", [32, 33])
@pytest.mark.parametrize(("method", "ridge", "error"), [("nufft", 1e-2, 0.02), ("gridding", 0.0, 0.12)])
def test_round_trip(particle, poses, n, method, ridge, error):
    """Catches a wrong centre, transposed rotations, a shift of the wrong sign, a wrong scale; even and odd boxes.

    The published gridding keeps its kernel's fall-off and is not exact; least squares is, but for the ridge.
    """
    views = poses(400)
    found = reconstruct(
        particle.images(n, views), views, particle.pixel_A, method=method, ridge=ridge, iterations=6
    )
    expected = particle.map(n)
    assert np.linalg.norm(found.data - expected) < error * np.linalg.norm(expected)
    assert found.data.dtype == np.float32


@pytest.mark.parametrize(("n", "radius"), [(40, 5.6), (41, 5.5), (40, 5.3)])
def test_small_support_in_a_large_box(particle, poses, n, radius):
    """Catches a cube around the support that is a voxel off: even and odd boxes, even and odd cubes."""
    views = poses(300)
    found = reconstruct(
        particle.images(n, views), views, particle.pixel_A, ridge=0.01, mask_radius_A=radius, iterations=6
    )
    expected = particle.map(n)
    assert np.linalg.norm(found.data - expected) < 0.03 * np.linalg.norm(expected)


@pytest.mark.parametrize("method", ["nufft", "gridding"])
def test_off_centre_atom_lands_in_its_voxel(particle, poses, method):
    """Catches swapped axes and a mirrored hand: one atom at (+2, -3, +5) voxels of (x, y, z)."""
    views, n = poses(150), 24
    particle.xyz = np.array([[2.0, -3.0, 5.0]]) * particle.pixel_A
    found = reconstruct(particle.images(n, views), views, particle.pixel_A, method=method).data
    assert np.unravel_index(found.argmax(), found.shape) == (n // 2 + 5, n // 2 - 3, n // 2 + 2)


@pytest.mark.parametrize("n", [20, 21])
def test_smearing_back_is_the_adjoint_of_projecting(poses, n):
    """Catches a wrong weight of the half plane, a lost conjugate, a wrong scale: <A x, y> = <x, A* y>."""
    rng, views = np.random.default_rng(0), poses(30)
    volume = rng.normal(size=(n, n, n))
    images = rng.normal(size=(30, n, n))
    forward = project(volume, matrices(views.quaternion), views.shift_A, 0.358)
    left, right = np.vdot(forward, images), np.vdot(volume, adjoint(images, views, 0.358))
    assert (
        abs(left - right)
        < 1e-3 * np.linalg.norm(forward) * np.linalg.norm(images) / np.sqrt(forward.size) * 30
    )
    assert left == pytest.approx(right, rel=0.02)


def test_point_spread_is_projecting_and_smearing_back(particle, poses):
    """Catches a point spread that is cropped or shifted by a voxel: its convolution must equal A* A."""
    n, views = 22, poses(25)
    images = project(particle.map(n), matrices(views.quaternion), views.shift_A, particle.pixel_A)
    expected = adjoint(images, views, particle.pixel_A)
    size = padded_size(n)
    spread = point_spread(views, n, particle.pixel_A)
    product = centred_rfftn(particle.map(n), size) * centred_rfftn(spread, size)
    found = centred_irfftn(product, size, n)
    assert np.linalg.norm(found - expected) < 3e-3 * np.linalg.norm(expected)


def test_weights_and_amplitudes_count(particle, poses):
    """Catches weights that are ignored: spoilt frames of weight 0 do no harm, and amplitudes are divided out."""
    n = 32
    rng = np.random.default_rng(1)
    views = replace(poses(300), amplitude=rng.uniform(0.5, 2, 300))
    images = particle.images(n, views)
    weights = np.ones(300)
    weights[::3] = 0
    images[::3] = rng.normal(0, 30, (100, n, n))
    for method in ("nufft", "gridding"):
        found = reconstruct(images, views, particle.pixel_A, weights, method, ridge=0.01)
        assert correlation(found.data, particle.map(n)) > 0.99


def test_unseen_directions_go_to_zero(particle, poses):
    """Catches noise blown up where Fourier space was never seen: all views along one axis, frames of pure noise."""
    rng, n = np.random.default_rng(2), 24
    views = poses(200)
    angle = rng.uniform(0, np.pi, 200)
    spin = np.stack([np.cos(angle), 0 * angle, 0 * angle, np.sin(angle)], 1)
    views = replace(views, quaternion=spin)
    found = reconstruct(rng.normal(size=(200, n, n)), views, particle.pixel_A).data
    power = np.abs(fft.fftn(found)) ** 2
    frequency = np.abs(fft.fftfreq(n, 1 / n))
    assert power[(frequency > 6) & (frequency < 10)].mean() < 0.02 * power[0].mean()


@pytest.mark.parametrize("method", ["nufft", "gridding"])
def test_sets_equal_maps_of_their_frames(particle, poses, method):
    """Catches halves that share frames, and a whole that is not the map of all of them."""
    views, n = poses(120), 24
    images = particle.images(n, views)
    halves = half_sets(views.frame, "blocks", 20)
    found = reconstruct_sets(images, views, particle.pixel_A, halves, method=method)
    for rows, got in zip([np.ones(120, bool), *halves], found, strict=True):
        expected = reconstruct(images[rows], views.take(rows), particle.pixel_A, method=method)
        np.testing.assert_allclose(got.data, expected.data, atol=2e-3 * np.abs(expected.data).max())
    with pytest.raises(InputError, match="disjoint"):
        reconstruct_sets(images, views, particle.pixel_A, [halves[0], halves[0]])


def test_threads_do_not_change_the_map(particle, poses):
    """Catches sums whose order depends on the number of threads."""
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("numba was started with one thread")
    views, n = poses(60), 20
    images = particle.images(n, views) + np.random.default_rng(3).normal(size=(60, n, n)).astype(np.float32)
    before = numba.get_num_threads()
    maps = {}
    try:
        for threads in (1, 2):
            numba.set_num_threads(threads)
            maps[threads] = [reconstruct(images, views, 0.358, method=m).data for m in ("nufft", "gridding")]
    finally:
        numba.set_num_threads(before)
    for one, two in zip(maps[1], maps[2]):
        np.testing.assert_array_equal(one, two)


def test_half_maps_of_noise_do_not_agree(poses):
    """Catches a resolution made by the support or the sampling that both halves share."""
    views, n = poses(300), 28
    noise = np.random.default_rng(4).normal(size=(300, n, n))
    _, first, second = reconstruct_sets(noise, views, 0.358, half_sets(views.frame))
    table, limit = fsc(first, second)
    assert limit == np.inf
    assert abs(np.average(table["fsc"], weights=table["coefficients"])) < 0.03


def test_wrong_input_is_refused_in_words(particle, poses):
    """Catches a stack that does not belong to the poses passing silently."""
    views = poses(5)
    images = particle.images(16, views)
    with pytest.raises(InputError, match="one pose each"):
        reconstruct(images[:4], views, 0.358)
    with pytest.raises(InputError, match="nufft or gridding"):
        reconstruct(images, views, 0.358, method="magic")
    with pytest.raises(InputError, match="weight"):
        reconstruct(images, views, 0.358, weights=np.array([1, 1, 1, 1, -1.0]))
