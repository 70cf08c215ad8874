"""Projection matching against brute force in direct sums, planted poses, and its own error bars."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.files.errors import InputError
from perrin.files.records import Map, Poses
from perrin.imaging.fourier import half_plane, image_coefficients
from perrin.imaging.grids import fibonacci_sphere
from perrin.imaging.rotations import angles_between, matrices, quaternions, rotvec_matrices
from perrin.imaging.slices import padded_transform, project
from perrin.poses.map_fit import fit_poses
from perrin.poses.matching import (
    beam_rotations,
    centred_masked,
    fine_search,
    in_plane,
    match,
    shift_grid,
)
from perrin.poses.polar import (
    angle_scores,
    moved,
    norms,
    reference_spectra,
    ring_samples,
    ring_spectra,
    rings,
)

PIXEL, N, SIGMA = 0.358, 48, 0.45
BAND = (3.0, 1.5)


def particle(seed=5, atoms=24, radius_A=4.5):
    """Atoms at least 2 A apart in a ball, without any symmetry."""
    rng = np.random.default_rng(seed)
    chosen = []
    while len(chosen) < atoms:
        x = rng.uniform(-radius_A, radius_A, 3)
        if np.linalg.norm(x) < radius_A and all(np.linalg.norm(x - y) > 2.0 for y in chosen):
            chosen.append(x)
    return np.array(chosen)


def ball_map(xyz, n=N):
    axis = (np.arange(n) - n // 2) * PIXEL
    x, y, z = (np.exp(-np.square(axis - xyz[:, [i]]) / (2 * SIGMA**2)) for i in range(3))
    return Map(np.einsum("iz,iy,ix->zyx", z, y, x).astype(np.float32), PIXEL)


def ball_images(xyz, rotation, shift_A, n=N):
    """Projections in closed form, not through the projector that is tested."""
    axis = (np.arange(n) - n // 2) * PIXEL
    u = np.einsum("fij,aj->fai", rotation[:, :2], xyz) + shift_A[:, None]
    x = np.exp(-np.square(axis - u[..., [0]]) / (2 * SIGMA**2))
    y = np.exp(-np.square(axis - u[..., [1]]) / (2 * SIGMA**2))
    return (np.einsum("fay,fax->fyx", y, x) * np.sqrt(2 * np.pi) * SIGMA).astype(np.float32)


def random_rotations(n, seed=0):
    return Rotation.random(n, np.random.default_rng(seed)).as_matrix()


def errors_deg(poses, rotation):
    return np.degrees(angles_between(matrices(poses.quaternion), rotation))


@pytest.mark.parametrize("n, weighting", [(24, "polar"), (25, "polar"), (24, "area")])
def test_all_scores_equal_brute_force(n, weighting):
    """Every direction, in-plane angle and shift against direct Fourier sums of the image and of the map.

    Catches a wrong sense of rotation, a half-turn, an axis swapped, a shift of the wrong sign, an origin half a pixel
    off, a norm over the wrong samples.
    """
    xyz = particle(atoms=8, radius_A=2.5)
    density = ball_map(xyz, n)
    shift = np.array([[0.3, -0.2], [0.0, 0.15]])
    images = ball_images(xyz, random_rotations(2, 1), shift, n)
    grid = rings(n, PIXEL, BAND, 5, weighting)
    directions = beam_rotations(fibonacci_sphere(7))
    references, off = reference_spectra(padded_transform(density.data, PIXEL, BAND), directions, grid)
    samples = ring_samples(images, grid)
    axis = np.arange(n) - n // 2
    psi = 2 * np.pi * np.arange(grid.turns) / grid.turns
    angle = 2 * np.pi * np.arange(grid.turns) / grid.turns
    k = grid.radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], -1)  # whole rings
    weight = np.square(grid.root)[:, None]
    for offset in ([0.0, 0.0], [0.8, -0.5]):
        got = angle_scores(ring_spectra(moved(samples, grid, offset), grid), references, grid.turns)
        got = got / norms(samples, grid)[:, None, None]
        for f in range(2):
            # the image about the point where its origin is said to be
            phase_x = np.exp(-2j * np.pi / n * k[..., 0, None] * (axis - offset[0]))
            phase_y = np.exp(-2j * np.pi / n * k[..., 1, None] * (axis - offset[1]))
            p = np.einsum("yx,kay,kax->ka", images[f], phase_y, phase_x, optimize=True)
            for d in range(len(directions)):
                for j in (0, 3, grid.turns // 2, grid.turns - 1):
                    R = in_plane([psi[j]])[0] @ directions[d]
                    q = k @ R[:2] / n * 2 * np.pi
                    ez, ey, ex = (np.exp(-1j * q[..., [a]] * axis) for a in (2, 1, 0))
                    r = np.einsum("zyx,kaz,kay,kax->ka", density.data, ez, ey, ex, optimize=True)
                    norm = np.sqrt(np.sum(weight * np.abs(p) ** 2) * np.sum(weight * np.abs(r) ** 2))
                    want = np.sum(weight * (p * r.conj()).real) / norm
                    assert got[f, d, j] == pytest.approx(want, abs=2e-3)
    assert not off.any()


def test_fine_search_equals_the_coarse_one():
    """Scores of listed (frame, direction, shift) triples, in whatever order, against the matrix product."""
    xyz = particle(atoms=8, radius_A=2.5)
    transform = padded_transform(ball_map(xyz, 24).data, PIXEL, BAND)
    grid = rings(24, PIXEL, BAND, 5)
    samples = ring_samples(ball_images(xyz, random_rotations(3, 1), np.zeros((3, 2)), 24), grid)
    length = norms(samples, grid)
    fine, shifts = fibonacci_sphere(40), np.array([[0.0, 0.0], [0.7, 0.4]])
    rng = np.random.default_rng(0)
    seeds = np.stack([rng.integers(0, 3, 60), rng.integers(0, 40, 60), rng.integers(0, 2, 60)], 1)
    _, angle, score = fine_search(samples, length, transform, fine, seeds, shifts, grid, None)
    references, _ = reference_spectra(transform, beam_rotations(fine), grid)
    for number in (0, 1):
        whole = angle_scores(ring_spectra(moved(samples, grid, shifts[number]), grid), references, grid.turns)
        mine = np.flatnonzero(seeds[:, 2] == number)
        want = whole[seeds[mine, 0], seeds[mine, 1]] / length[seeds[mine, 0], None]
        assert score[mine] == pytest.approx(want.max(1), abs=1e-5)
        assert np.take_along_axis(want, angle[mine, None], 1)[:, 0] == pytest.approx(want.max(1), abs=1e-5)


def test_planted_poses_are_found_from_nothing():
    """No poses given, shifts up to 0.8 A: all frames right, much better than the grid's spacing."""
    xyz = particle()
    rotation = random_rotations(24, 2)
    shift = np.random.default_rng(3).uniform(-0.55, 0.55, (24, 2))
    poses, correlation = match(
        ball_images(xyz, rotation, shift), ball_map(xyz), coarse=500, fine=3000, mask_radius_A=8
    )
    assert errors_deg(poses, rotation).max() < 0.3
    assert np.linalg.norm(poses.shift_A - shift, axis=1).max() < 0.02
    assert correlation.min() > 0.98
    assert poses.amplitude == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("amplitude", [None, 1.0])
def test_planted_poses_are_found_in_noise(amplitude):
    """Noise of unit variance on a contrast of a few: errors as large as the reported sigma, within 25 %.

    Catches a sigma in the wrong unit or of the wrong noise level, and likelihoods that favour the wrong side.
    """
    xyz = particle()
    frames, gain = 60, 1.0
    rotation = random_rotations(frames, 4)
    shift = np.random.default_rng(5).uniform(-0.3, 0.3, (frames, 2))
    clean = gain * ball_images(xyz, rotation, shift)
    noise = np.random.default_rng(6).standard_normal(clean.shape).astype(np.float32)
    start = Poses(np.arange(frames), quaternions(rotation), shift, np.ones(frames), np.ones(frames))
    turned = rotvec_matrices(np.random.default_rng(7).normal(0, 0.04, (frames, 3))) @ rotation
    start = Poses(start.frame, quaternions(turned), shift, start.amplitude, start.sigma_deg)
    poses, _ = match(
        clean + noise, ball_map(xyz), start, coarse=300, fine=1500, mask_radius_A=8, weighting="area",
        amplitude=amplitude,
    )  # fmt: skip
    error = errors_deg(poses, rotation)
    right = error < 10
    assert right.mean() > 0.95
    spread = np.sqrt(np.mean(np.square(error[right] / poses.sigma_deg[right])) / 3)
    assert spread == pytest.approx(1, abs=0.25)
    assert np.median(poses.amplitude) == pytest.approx(1, abs=0.1)


def test_a_good_pose_is_not_lost():
    """Poses from before compete with all their accuracy: with grids too coarse to find anything they stay."""
    xyz = particle()
    rotation = random_rotations(10, 8)
    start = Poses(np.arange(10) + 40, quaternions(rotation), np.zeros((10, 2)), np.ones(10), np.ones(10))
    images = ball_images(xyz, rotation, np.zeros((10, 2)))
    poses, _ = match(images, ball_map(xyz), start, coarse=6, fine=6, top=1, mask_radius_A=8)
    assert errors_deg(poses, rotation).max() < 0.2
    assert poses.frame.tolist() == list(range(40, 50))


def test_gauss_newton_comes_back_from_four_degrees():
    """Catches a derivative with the wrong sign or scale in rotation or shift: most frames would not return."""
    xyz = particle()
    rotation, shift = random_rotations(30, 9), np.zeros((30, 2))
    density = ball_map(xyz)
    plane = half_plane(N, PIXEL, (3.0, 1.0))
    transform = padded_transform(density.data, PIXEL, (3.0, 1.0))
    data = image_coefficients(ball_images(xyz, rotation, shift), plane)
    rng = np.random.default_rng(10)
    axis = rng.normal(size=(30, 3))
    away = rotvec_matrices(np.radians(4) * axis / np.linalg.norm(axis, axis=1, keepdims=True)) @ rotation
    off = rng.normal(0, 0.12, (30, 2))
    for polar, amplitude in ((True, None), (False, None), (False, 1.0)):
        R, s, score = fit_poses(
            data, np.arange(30), transform, plane, away, off, 8, polar=polar, amplitude=amplitude
        )
        good = np.degrees(angles_between(R, rotation)) < 0.1
        assert good.mean() > 0.9
        assert np.abs(s[good]).max() < 0.01
        if amplitude is None:
            assert score[good].min() > 0.999


def test_likelihood_is_that_of_white_noise():
    """The score at a given amplitude is the log-likelihood ratio in real space, of the band that is compared."""
    xyz = particle()
    rotation, shift = random_rotations(4, 11), np.zeros((4, 2))
    density = ball_map(xyz)
    images = 0.7 * ball_images(xyz, rotation, shift)
    images += np.random.default_rng(12).standard_normal(images.shape).astype(np.float32)
    other = random_rotations(4, 13)
    plane = half_plane(N, PIXEL, BAND)
    transform = padded_transform(density.data, PIXEL, BAND)
    data = image_coefficients(images, plane)
    got = fit_poses(data, np.arange(4), transform, plane, other, shift, 0, polar=False, amplitude=0.8)[2]
    model = 0.8 * project(density.data, other, shift, PIXEL, BAND).astype(float)
    want = np.sum(model * images - model**2 / 2, (1, 2))
    assert got == pytest.approx(want, rel=1e-3, abs=1e-2)
    # and the polar grid's sums stand for the same integrals
    grid = rings(N, PIXEL, BAND, 16, "area")
    references, off = reference_spectra(transform, other, grid, 0.8)
    scores = angle_scores(ring_spectra(ring_samples(images, grid), grid), references, grid.turns)
    rough = scores[np.arange(4), np.arange(4), 0] - off
    assert np.abs(rough - want).max() < 0.1 * np.sum(model**2, (1, 2)).max()


def test_frames_are_moved_and_masked():
    """The particle goes to the centre with a sub-pixel shift of the right sign, and the disc is about it."""
    xyz = particle(atoms=6, radius_A=2.5)
    rotation = random_rotations(2, 14)
    shift = np.array([[1.13, -0.61], [-0.4, 0.9]])
    got = centred_masked(ball_images(xyz, rotation, shift), shift, PIXEL, 8.0)
    want = ball_images(xyz, rotation, np.zeros((2, 2)))
    inner = np.hypot(*(np.indices((N, N)) - N // 2)) * PIXEL < 5
    assert np.abs(got - want)[:, inner].max() < 0.02 * want.max()


def test_shift_grid_covers_the_disc():
    """Every shift within reach has a grid point within a hexagonal cell; zero comes first; none lies outside."""
    grid = shift_grid(1.0, 0.5)
    assert grid[0].tolist() == [0, 0]
    assert np.linalg.norm(grid, axis=1).max() <= 1 + 1e-9
    points = np.random.default_rng(0).uniform(-1, 1, (2000, 2))
    points = points[np.linalg.norm(points, axis=1) < 0.7]
    assert np.linalg.norm(points[:, None] - grid, axis=-1).min(1).max() < 0.5 / np.sqrt(3) + 1e-6
    assert len(shift_grid(0, 0.5)) == 1


def test_wrong_input_gets_one_sentence():
    """Boxes or poses that do not fit, a band without rings, a weighting that does not exist."""
    density = ball_map(particle(atoms=4, radius_A=2.5))
    with pytest.raises(InputError, match="box"):
        match(np.zeros((2, 32, 32), np.float32), density)
    with pytest.raises(InputError, match="ring"):
        match(np.zeros((2, N, N), np.float32), density, band_A=(1.52, 1.5))
    with pytest.raises(InputError, match="weighting"):
        match(np.zeros((2, N, N), np.float32), density, weighting="k")
