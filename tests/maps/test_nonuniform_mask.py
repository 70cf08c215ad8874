"""Cross-validated local filtering, and masks: planted maps of known detail and extent."""

import numpy as np
import pytest
from scipy import fft, ndimage

from perrin.files.records import Map
from perrin.maps.mask import automask, otsu, radii, soft_disc, soft_sphere
from perrin.maps.nonuniform import butterworth, nonuniform


def planted(n=48, pixel=0.358):
    """Fine detail on the left, coarse detail on the right, and noise in two halves."""
    rng = np.random.default_rng(0)
    fine = ndimage.gaussian_filter(rng.normal(size=(n,) * 3), 0.9, mode="wrap")
    coarse = ndimage.gaussian_filter(rng.normal(size=(n,) * 3), 3, mode="wrap")
    left = np.arange(n) < n // 2
    signal = np.where(left, 3 * fine / fine.std(), 3 * coarse / coarse.std())
    return signal, [Map((signal + rng.normal(0, 1.5, (n,) * 3)).astype(np.float32), pixel) for _ in range(2)]


def test_filter_follows_the_detail():
    """Catches cut-offs chosen by the same half, which would keep all noise: fine side sharp, coarse side not."""
    _, halves = planted()
    _, _, cutoffs = nonuniform(*halves, window_A=1.0)
    assert np.median(cutoffs[:, :, 8:16]) <= 1.25
    assert np.median(cutoffs[:, :, 32:40]) >= 2.0


def test_local_filter_beats_every_global_one():
    """Catches a filter that is no better than one cut-off for all."""
    signal, halves = planted()
    first, second, _ = nonuniform(*halves, window_A=1.0)
    error = np.mean(((first.data + second.data) / 2 - signal) ** 2)
    mean = fft.rfftn((halves[0].data + halves[1].data) / 2)
    for cutoff in (3.0, 2.0, 1.5, 1.25, 1.0, 0.8):
        flat = fft.irfftn(mean * butterworth(48, 0.358, cutoff), (48,) * 3)
        assert error < np.mean((flat - signal) ** 2)


def test_butterworth_halves_the_amplitude_at_its_period():
    """Catches a frequency in cycles per box taken for one per angstrom."""
    n, pixel = 40, 0.5
    window = butterworth(n, pixel, n * pixel / 8)
    assert window[0, 0, 8] == pytest.approx(0.5) and window[0, 0, 4] > 0.99 and window[0, 0, 16] < 0.01


@pytest.mark.parametrize("n", [30, 31])
def test_soft_sphere_is_centred_with_its_edge_inside(n):
    """Catches an edge that grows the mask, or a centre off by half a voxel."""
    mask, radius = soft_sphere(n, 0.5, 6.0, 2.0), radii(n, 0.5)
    assert (
        mask[n // 2, n // 2, n // 2] == 1
        and (mask[radius >= 6.0] == 0).all()
        and (mask[radius <= 4.0] == 1).all()
    )
    assert mask[n // 2, n // 2, n // 2 + 10] == pytest.approx(0.5)
    np.testing.assert_array_equal(soft_disc(n, 0.5, 6.0, 2.0), mask[:, n // 2])


def test_otsu_splits_two_groups():
    """Catches a threshold outside the gap."""
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0, 1, 5000), rng.normal(10, 1, 500)])
    assert 3 < otsu(values) < 8


def test_automask_finds_a_particle_without_density_of_its_own():
    """Catches a mask by mean density: the particle is a lattice of zero mean, elongated, off centre."""
    n, pixel = 60, 0.4
    rng = np.random.default_rng(2)
    z, y, x = (np.indices((n,) * 3) - n // 2) * pixel
    inside = ((x - 1.5) / 7) ** 2 + (y / 4) ** 2 + (z / 4) ** 2 < 1
    lattice = np.cos(2 * np.pi * x / 2.2) * np.cos(2 * np.pi * y / 2.2) * np.cos(2 * np.pi * z / 2.2)
    mask = (
        automask(Map((3 * lattice * inside + rng.normal(0, 0.5, (n,) * 3)).astype(np.float32), pixel)) > 0.5
    )
    assert mask[inside].mean() > 0.99
    # grown by 1.5 A, half of an edge of 2 A, and the reach of the smoothing
    assert ndimage.distance_transform_edt(~inside)[mask].max() * pixel < 1.5 + 1 + 1.5
    assert np.all(automask(Map(np.zeros((8, 8, 8)), 1.0)) == 0)
