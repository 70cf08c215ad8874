"""The sums behind a step on a pose, against slices and differences of slices."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.imaging.fourier import half_plane, shift_phases
from perrin.imaging.rotations import rotvec_matrices
from perrin.imaging.slices import KAISER_BESSEL, TRILINEAR, fourier_slices, padded_transform
from perrin.poses.normal_equations import products

N, PIXEL, BAND = 24, 0.358, (3.0, 1.2)


@pytest.mark.parametrize("kernel", [KAISER_BESSEL, TRILINEAR])
def test_products_equal_those_of_slices_and_their_differences(kernel):
    """Catches a sign or an axis of a derivative, the conjugate half, a pose that is paired with another frame's data.

    Trilinear interpolation has kinks: there the step of the difference is small, and few samples cross one.
    """
    rng = np.random.default_rng(0)
    plane = half_plane(N, PIXEL, BAND)
    transform = padded_transform(rng.normal(size=(N,) * 3), PIXEL, BAND, kernel)
    R, s = Rotation.random(6, rng).as_matrix(), rng.normal(0, 0.4, (6, 2))
    frames = rng.normal(size=(4, len(plane), 2)).astype(np.float32).view(np.complex64)[..., 0]
    frames *= 100
    rows = np.array([2, 0, 3, 3, 1, 0])
    weight = plane.weight / np.hypot(*plane.k.T)

    def model(R, s):
        return fourier_slices(transform, R, plane) * shift_phases(plane, s / PIXEL).astype(complex)

    def dot(a, b):
        return np.sum(weight * (a.conj() * b).real, -1)

    h = 2e-3 if kernel == KAISER_BESSEL else 3e-4
    by = []
    for axis in np.eye(3):
        forth, back = (rotvec_matrices(way * h * axis) @ R for way in (1, -1))
        by.append((model(forth, s) - model(back, s)) / (2 * h))
    for axis in np.eye(2):
        by.append((model(R, s + 1e-3 * axis) - model(R, s - 1e-3 * axis)) / 2e-3)
    by, m, d = np.stack(by, 1), model(R, s), frames[rows]
    p = products(frames, rows, transform, plane, weight, R, s)
    np.testing.assert_allclose(p.md, dot(m, d), rtol=1e-4, atol=1e-4 * np.abs(dot(m, d)).max())
    np.testing.assert_allclose(p.mm, dot(m, m), rtol=1e-4)
    close = 5e-3 if kernel == KAISER_BESSEL else 2e-2
    size = np.sqrt(dot(by, by))
    unit = np.sqrt(dot(d, d))[:, None] * size
    assert np.abs(p.bd - dot(by, d[:, None])).max() < close * unit.max()
    assert np.abs(p.bm - dot(by, m[:, None])).max() < close * (np.sqrt(dot(m, m))[:, None] * size).max()
    want = dot(by[:, :, None], by[:, None])
    assert np.abs((p.bb - want) / (size[:, :, None] * size[:, None])).max() < close
