"""The score of a lattice ball in closed form, against templates drawn pixel by pixel."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from scipy.special import logsumexp

from perrin.imaging import lattice
from perrin.imaging.grids import equivalents, orientation_grid
from perrin.imaging.rotations import angles_between
from perrin.poses import evidence

N, PIXEL_A, RADIUS_A, A = 48, 0.45, 7.0, {"fcc": 3.92, "hcp": 2.95}
AXIS = (np.arange(N) - N // 2) * PIXEL_A
FACTORS = np.array([1.0, 0.8, 0.6, 0.4, 0.3, 0.3, 0.3, 0.2, 0.2])


def reflections(system):
    return lattice.reflections(system, A[system], 0.92 if system == "fcc" else 0.80)


def window(g):
    h = np.sqrt(np.clip(RADIUS_A**2 - AXIS[:, None] ** 2 - AXIS[None, :] ** 2, 0, None))
    return 2 * h * np.sinc(2 * h * g)


def template(R, some, f, shift=(0.0, 0.0)):
    """Lattice through a ball, all of the G and -G that lie near the slice, summed wave by wave."""
    image = np.zeros((N, N), complex)
    limit = 0.65 / RADIUS_A
    for G, shell, phase in zip(some.G, some.shell, some.phase):
        x, y, z = R @ G
        if abs(z) >= limit:
            continue
        wave = np.exp(2j * np.pi * (x * (AXIS[None, :] - shift[0]) + y * (AXIS[:, None] - shift[1])))
        image += f[shell] * window(z) * (phase * wave + np.conj(phase * wave))
    return image.real


def along_axis():
    """An orientation with many spots in its slice, a little off a zone axis."""
    return Rotation.from_rotvec(np.array([0.03, -0.02, 0.4])).as_matrix()


@pytest.mark.parametrize("system", ["fcc", "hcp"])
def test_coefficients_are_transforms_of_the_windowed_frame(system):
    """Would catch a wrong origin of the phase, an axis exchanged, the conjugate of a structure factor forgotten."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(2, N, N)).astype(np.float32)
    some = reflections(system)
    rotation = np.array([along_axis(), np.eye(3)])
    windows = evidence.windowed_transforms(frames, PIXEL_A, RADIUS_A, 0.95)
    spot, values = evidence.path_coefficients(windows, rotation, some)
    assert np.diff(spot.first).min() >= 3
    for frame in range(2):
        for m in range(spot.first[frame], spot.first[frame + 1]):
            g = spot.place[m, 0] * windows.dg
            kx, ky = spot.k[m]
            wave = np.exp(-2j * np.pi * (kx * AXIS[None, :] + ky * AXIS[:, None]))
            expected = (frames[frame] * window(g) * wave).sum() * np.conj(spot.weight[m])
            assert abs(values[m] - expected) < 0.05 * np.sqrt(windows.norm[0])


@pytest.mark.parametrize("system", ["fcc", "hcp"])
def test_score_is_the_mean_likelihood_over_shifts(system):
    """Would catch a factor 2 of half the reflections, a shift of the wrong sign, a norm that is not the template's."""
    rng = np.random.default_rng(1)
    some, R, alpha = reflections(system), along_axis(), 0.12
    frame = alpha * template(R, some, FACTORS, (0.5, -0.3)) + rng.normal(size=(N, N))
    windows = evidence.windowed_transforms(frame[None].astype(np.float32), PIXEL_A, RADIUS_A, 0.95)
    spot = evidence.spots(R[None], some, windows)
    found = evidence.lattice_scores(windows, spot, FACTORS, alpha)[0, 0]
    s = np.linspace(-1.4, 1.4, evidence.SHIFTS_1D)
    c = [alpha * (frame * template(R, some, FACTORS, (x, y))).sum() for y in s for x in s]
    squared = np.square(alpha * template(R, some, FACTORS)).sum()
    expected = logsumexp(c) - 2 * np.log(len(s)) - squared / 2
    assert expected > 10
    assert found == pytest.approx(expected, rel=0.06)


def test_amplitudes_of_shells_come_back():
    """Would catch a factor of 2 between score and amplitude; planted amplitudes, no noise, one pose a frame."""
    some = reflections("fcc")
    rng = np.random.default_rng(2)
    zones = [[0, 0, 0], [0, np.pi / 4, 0], [np.pi / 4, 0, 0], [0.2, 0, 0.5]]
    rotation = Rotation.from_rotvec(np.array(zones)).as_matrix()
    shift = rng.uniform(-1, 1, (4, 2))
    frames = np.array([template(R, some, FACTORS, s) for R, s in zip(rotation, shift)], np.float32)
    windows = evidence.windowed_transforms(frames, PIXEL_A, RADIUS_A, 0.95)
    spot, values = evidence.path_coefficients(windows, rotation, some)
    found = evidence.shell_amplitudes(spot, values, shift, 5)
    seen = np.bincount(spot.shell, minlength=5) >= 3
    assert seen.sum() >= 3
    np.testing.assert_allclose(found[seen], FACTORS[:5][seen], rtol=0.15)


def test_the_right_orientation_wins():
    """Would catch scores that are right for one pose and not comparable between poses, and a wrong best amplitude."""
    some = reflections("fcc")
    group = lattice.rotation_group("fcc")
    grid = orientation_grid(group, 7.0, 8.0)
    rng = np.random.default_rng(3)
    nodes = rng.choice(len(grid.rotation), 12, replace=False)
    clean = np.array([template(grid.rotation[i], some, FACTORS, rng.uniform(-1, 1, 2)) for i in nodes])
    frames = (0.05 * clean + rng.normal(size=clean.shape)).astype(np.float32)
    windows = evidence.windowed_transforms(frames, PIXEL_A, RADIUS_A, 0.95)
    spot = evidence.spots(grid.rotation, some, windows)
    best, _ = evidence.best_amplitude(windows, spot, FACTORS, 0.05 * np.array([0.1, 0.3, 1.0, 3.0, 10.0]))
    assert best == pytest.approx(0.05)
    score = evidence.lattice_scores(windows, spot, FACTORS, best)
    strong = np.square(0.05 * clean).sum((1, 2)) / 2 > 20
    found = grid.rotation[score.argmax(1)]
    miss = angles_between(equivalents(found, group), grid.rotation[nodes][:, None]).min(1)
    assert strong.sum() >= 5
    assert np.degrees(miss[strong]).max() < 10


@pytest.mark.parametrize("system", ["fcc", "hcp"])
def test_equivalent_orientations_score_alike(system):
    """Would catch an origin that is no centre of all rotations, by which hcp's equivalents differed in their phases."""
    frame = np.random.default_rng(4).normal(size=(1, N, N)).astype(np.float32)
    windows = evidence.windowed_transforms(frame, PIXEL_A, RADIUS_A, 0.95)
    alike = equivalents(along_axis(), lattice.rotation_group(system))
    spot = evidence.spots(alike, reflections(system), windows)
    score = evidence.lattice_scores(windows, spot, FACTORS, 0.05)[0]
    assert np.ptp(score) < 0.02 and abs(score).max() > 0.1


def test_reflections_beyond_nyquist_are_refused():
    """Would catch an index that wraps around in silence."""
    with pytest.raises(ValueError, match="Nyquist"):
        evidence.windowed_transforms(np.zeros((1, 16, 16), np.float32), 1.2, 7.0, 0.9)
