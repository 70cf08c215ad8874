"""Occupancies of sites: the equations by plain sums, the solution against scipy's."""

import drawing
import numpy as np
import pytest
from scipy.optimize import lsq_linear, nnls

from perrin.atoms import sites
from perrin.imaging import lattice
from perrin.imaging.blobs import filter_frames
from perrin.imaging.rotations import rotvec_matrices


def test_equations_are_sums_over_pixels(scene, filtered, pair, poses):
    """Would catch amplitudes missing or squared, and pairs that share a difference vector but not its overlap."""
    points = lattice.sites("fcc", 3.92, 5.0)
    b, N = sites.site_equations(filtered, points, *poses, pair)
    again_b, again_N = sites.point_equations(filtered, points, *poses, pair)
    np.testing.assert_allclose(again_b, b, rtol=1e-6)
    np.testing.assert_allclose(again_N, N, atol=1e-6 * N[0, 0])
    some = [0, 7, 20]
    images = np.zeros((3, len(scene.frames), drawing.SIDE**2))
    y = np.array([drawing.high_pass(f.astype(float), 0.2).ravel() for f in scene.frames])
    for i, j in enumerate(some):
        for f, (R, s, a) in enumerate(zip(*poses)):
            images[i, f] = a * drawing.model_image(points[j : j + 1], [1.0], R, s, scene.profile).ravel()
    np.testing.assert_allclose(b[some], (images * y).sum((1, 2)), atol=3e-3 * np.abs(b).max())
    expected = np.einsum("ifp,jfp->ij", images, images)
    np.testing.assert_allclose(N[np.ix_(some, some)], expected, atol=3e-3 * N[0, 0])


def test_differences_are_those_of_the_points():
    """Would catch two vectors mistaken for one."""
    points = lattice.sites("fcc", 3.92, 6.0, (0.5, 0.1, -0.3))
    vectors, index = sites.difference_table(points)
    difference = points[:, None] - points[None]
    same = np.minimum(
        np.linalg.norm(vectors[index] - difference, axis=-1),
        np.linalg.norm(vectors[index] + difference, axis=-1),
    )
    assert same.max() < 1e-9
    assert len(vectors) < len(points) ** 2 / 8


def test_solution_agrees_with_scipys(filtered, pair, poses):
    """Would catch a step that is too long, and a stop before the solution is reached."""
    points = lattice.sites("fcc", 3.92, 7.0)
    b, N = sites.site_equations(filtered, points, *poses, pair)
    found = sites.nonnegative_solution(b, N, iterations=4000, tolerance=1e-9)
    ridged = N + 1e-3 * np.mean(np.diag(N)) * np.eye(len(b))
    root = np.linalg.cholesky(ridged).T
    expected, _ = nnls(root, np.linalg.solve(root.T, b))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    quick = sites.nonnegative_solution(b, N)
    np.testing.assert_allclose(quick, expected, atol=0.03)


def test_occupied_sites_are_told_from_empty_ones(pair):
    """Would catch sites exchanged in order: the planted ones and no others are near 1, their plateau is 1."""
    scene = drawing.scene(frames=60, step_deg=9.0, seed=22)
    filtered = filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)
    points = lattice.sites("fcc", 3.92, 8.5)
    b, N = sites.site_equations(filtered, points, scene.rotation, scene.shift_A, scene.amplitude, pair)
    o = sites.nonnegative_solution(b, N)
    planted = np.linalg.norm(points[:, None] - scene.xyz_A, axis=2).min(1) < 0.01
    assert planted.sum() == len(scene.xyz_A)
    assert o[planted].min() > 0.75 and o[~planted].max() < 0.25
    assert sites.plateau(o, len(scene.xyz_A)) == pytest.approx(1, abs=0.08)
    assert sites.grey_share(o) == 0


def test_grey_share_counts_between_a_quarter_and_three():
    """Would catch empty sites counted: two of four that are above a quarter."""
    assert sites.grey_share(np.array([0.0, 0.1, 0.3, 0.7, 0.8, 1.1])) == pytest.approx(0.5)


def test_bounded_solution_agrees_with_scipys_and_holds_what_is_expected(filtered, pair, poses):
    """Would catch a bound that is not kept, or one that leaves more or fewer atoms than were asked for."""
    points = lattice.sites("fcc", 3.92, 7.0)
    b, N = sites.site_equations(filtered, points, *poses, pair)
    free = sites.nonnegative_solution(b, N)
    expected = 1.1 * free.sum() / free.max()
    found, most = sites.bounded_solution(b, N, expected, free)
    assert found.max() <= most and found.sum() / most == pytest.approx(expected, rel=0.02)
    ridged = N + 1e-3 * np.mean(np.diag(N)) * np.eye(len(b))
    root = np.linalg.cholesky(ridged).T
    oracle = lsq_linear(root, np.linalg.solve(root.T, b), (0, most), tol=1e-10).x
    np.testing.assert_allclose(found, oracle, atol=0.03)


def test_a_column_seen_along_itself_has_the_atoms_that_its_size_says(pair):
    """Five atoms a column, views within some degrees of it, poses that are off: free occupancies gather on fewer."""
    spacing, rng = 2.8, np.random.default_rng(1)
    across = np.arange(-3, 4) * 2.8
    columns = np.stack(np.meshgrid(across, across), -1).reshape(-1, 2)
    columns = columns[np.hypot(*columns.T) < 7]
    heights = spacing * np.arange(-3, 4)
    points = np.array([[x, y, z] for x, y in columns for z in heights])
    there = np.abs(points[:, 2]) < 2.5 * spacing
    turns = rotvec_matrices(np.radians(rng.normal(0, [3.0, 3.0, 20.0], (150, 3))))
    scene = drawing.scene(frames=150, xyz_A=points[there], rotation=turns, seed=24, amplitude=2.0)
    filtered = filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)
    off = rotvec_matrices(np.radians(rng.normal(0, 1.5, (150, 3)))) @ turns
    b, N = sites.site_equations(filtered, points, off, scene.shift_A, scene.amplitude, pair)
    free = sites.nonnegative_solution(b, N)
    bounded, most = sites.bounded_solution(b, N, there.sum(), free)
    level = sites.plateau(free, there.sum())
    wrong = [((o > 0.5) != there).sum() for o in (free / level, bounded / most)]
    assert wrong[0] > 20 and wrong[1] == 0
    assert sites.grey_share(bounded / most) < 0.05 < 0.3 < sites.grey_share(free / level)
