"""Joint refinement: normal matrix, step, error bars and profile against a model drawn pixel by pixel."""

import drawing
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from perrin.atoms import joint
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import rotvec_matrices
from perrin.poses.polish import polish
from perrin.rounds.refine import free_step

FEW = 9  # atoms of the dense comparisons


@pytest.fixture(scope="module")
def small():
    """Nine atoms in a dozen frames, with occupancies away from 1."""
    xyz = drawing.cluster(rattle_A=0.1, seed=3)
    xyz = xyz[np.argsort(np.linalg.norm(xyz, axis=1))[:FEW]]
    o = np.linspace(0.7, 1.2, FEW)
    scene = drawing.scene(frames=12, step_deg=40.0, xyz_A=xyz, occupancy=o, seed=23)
    return scene, filter_frames(scene.frames, drawing.PIXEL_A, scene.profile)


def drawn(scene, xyz, o, poses=None):
    """All high-passed frames of a model, flat."""
    R, s, a = (scene.rotation, scene.shift_A, scene.amplitude) if poses is None else poses
    images = [k * drawing.model_image(xyz, o, r, t, scene.profile) for r, t, k in zip(R, s, a)]
    return np.array(images).reshape(len(R), -1)


def jacobian(scene, h=2e-3):
    """(frames, pixels, 4 n): derivative of the frames in x, y, z, occupancy of every atom."""
    columns = []
    for j in range(len(scene.xyz_A)):
        for c in range(4):
            sides = []
            for sign in (1, -1):
                xyz, o = scene.xyz_A.copy(), scene.occupancy.copy()
                if c < 3:
                    xyz[j, c] += sign * h
                else:
                    o[j] += sign * h
                sides.append(drawn(scene, xyz, o))
            columns.append((sides[0] - sides[1]) / (2 * h))
    return np.moveaxis(np.array(columns), 0, -1)


@pytest.fixture(scope="module")
def dense(small):
    return jacobian(small[0])


def test_normal_matrix_is_that_of_the_drawn_frames(small, dense, pair):
    """Would catch one wrong sign or triangle in the ten sums over pairs."""
    scene, _ = small
    A = joint.normal_matrix(
        scene.xyz_A, scene.occupancy, pair, scene.rotation, scene.shift_A, scene.amplitude
    )
    expected = np.einsum("fpa,fpb->ab", dense, dense)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(A / scale, expected / scale, atol=0.015)


def test_step_is_the_gauss_newton_step_of_the_drawn_frames(small, dense, pair):
    """Would catch a gradient that misses its occupancy or its amplitude, and a prior of the wrong strength."""
    scene, filtered = small
    y = np.array([drawing.high_pass(f.astype(float), 0.2).ravel() for f in scene.frames])
    rest = y - drawn(scene, scene.xyz_A, scene.occupancy)
    gradient = np.einsum("fpa,fp->a", dense, rest)
    A = np.einsum("fpa,fpb->ab", dense, dense)
    gradient[3::4] -= (scene.occupancy - 1) / 0.1**2
    A[np.arange(3, 4 * FEW, 4), np.arange(3, 4 * FEW, 4)] += 1 / 0.1**2
    A[np.diag_indices(4 * FEW)] *= 1 + 1e-3
    expected = np.linalg.solve(A, gradient).reshape(FEW, 4)
    xyz, o, largest = joint.atom_step(
        filtered,
        scene.xyz_A,
        scene.occupancy,
        pair,
        scene.rotation,
        scene.shift_A,
        scene.amplitude,
        cap_A=9.0,
    )
    np.testing.assert_allclose(xyz - scene.xyz_A, expected[:, :3], atol=0.03 * np.abs(expected[:, :3]).max())
    np.testing.assert_allclose(o - scene.occupancy, expected[:, 3], atol=0.03 * np.abs(expected[:, 3]).max())
    assert largest == pytest.approx(np.linalg.norm(expected[:, :3], axis=1).max(), rel=0.03)


def test_moves_are_capped_as_images_see_them():
    """Would catch a cap in angstrom, which holds atoms back along a direction that all frames look along."""
    rng = np.random.default_rng(6)
    even = Rotation.random(4000, rng=rng).as_matrix()
    narrow = Rotation.from_rotvec(0.05 * rng.normal(size=(4000, 3))).as_matrix()  # all along z
    wish = np.array([[2.0, 0, 0, 0], [0, 0, 2.0, 0], [0.02, 0, 0.03, 0]])

    def moved(rotation, most_caps=joint.MOST_CAPS):
        A = np.eye(12)
        return joint._moved(np.zeros((3, 3)), np.ones(3), wish.ravel(), A, 0.0, 0.15, most_caps, rotation)[0]

    np.testing.assert_allclose(moved(even), [[0.15, 0, 0], [0, 0, 0.15], [0.02, 0, 0.03]], atol=0.003)
    along = joint.MOST_CAPS * 0.15
    across = 0.15 / np.sqrt(1.5)
    np.testing.assert_allclose(moved(narrow), [[across, 0, 0], [0, 0, along], [0.02, 0, 0.03]], atol=0.003)
    np.testing.assert_allclose(moved(narrow, 1.0)[1], [0, 0, 0.15], atol=0.003)


def test_planted_atoms_come_back_within_their_error_bars(scene, filtered, pair, poses):
    """Would catch steps that stall, and error bars that are not the scatter: chi square over three of 1."""
    rng = np.random.default_rng(4)
    xyz = scene.xyz_A + 0.12 * rng.normal(size=scene.xyz_A.shape)
    o = np.ones(len(xyz))
    for _ in range(5):
        xyz, o, moved = joint.atom_step(filtered, xyz, o, pair, *poses)
    assert moved < 2e-3
    _, known, sigma_o = joint.covariances(xyz, o, pair, *poses)
    miss = xyz - scene.xyz_A
    # a common move of the body is gauge, and not in the error bars
    gauge = np.concatenate([np.tile(np.eye(3), (len(xyz), 1, 1)), np.cross(np.eye(3), xyz[:, None])], 1)
    gauge = gauge.swapaxes(1, 2).reshape(-1, 6)
    flat = miss.ravel()
    miss = (flat - gauge @ np.linalg.lstsq(gauge, flat, rcond=None)[0]).reshape(-1, 3)
    chi2 = np.einsum("ni,nij,nj->n", miss, np.linalg.inv(known), miss) / 3
    assert chi2.mean() == pytest.approx(1, abs=0.3)
    assert np.mean(np.square((o - 1) / sigma_o)) < 1.2


def test_covariances_are_those_of_the_whole_problem(small, dense, pair):
    """Would catch a coupling to the poses with a wrong sign or weight: against one dense matrix of all unknowns."""
    scene, _ = small
    frames, h = len(scene.rotation), 1e-3
    atoms = np.einsum("fpa,fpb->ab", dense, dense)
    atoms[np.arange(3, 4 * FEW, 4), np.arange(3, 4 * FEW, 4)] += 1 / 0.1**2
    cross, own = np.zeros((4 * FEW, 6 * frames)), np.zeros((6 * frames, 6 * frames))
    for f in range(frames):
        columns = []
        for i in range(6):
            sides = []
            for sign in (1, -1):
                d = sign * h * np.eye(6)[i]
                R = rotvec_matrices(d[None, 2:5])[0] @ scene.rotation[f]
                image = drawing.model_image(
                    scene.xyz_A, scene.occupancy, R, scene.shift_A[f] + d[:2], scene.profile
                )
                sides.append((scene.amplitude[f] + d[5]) * image.ravel())
            columns.append((sides[0] - sides[1]) / (2 * h))
        J = np.array(columns).T
        cross[:, 6 * f : 6 * f + 6] = dense[f].T @ J
        own[6 * f : 6 * f + 6, 6 * f : 6 * f + 6] = J.T @ J
    position = np.arange(4 * FEW).reshape(FEW, 4)[:, :3].ravel()
    away = scene.xyz_A - scene.xyz_A.mean(0)
    gauge = np.concatenate([np.tile(np.eye(3), (FEW, 1, 1)), np.cross(np.eye(3), away[:, None])], 1)
    basis, _ = np.linalg.qr(gauge.swapaxes(1, 2).reshape(-1, 6))
    free = np.linalg.svd(basis.T)[2][6:].T  # moves that are no rotation or translation of the body

    def blocks(A):
        rest = np.setdiff1d(np.arange(4 * FEW), position)
        inner = A[np.ix_(position, position)] - A[np.ix_(position, rest)] @ np.linalg.solve(
            A[np.ix_(rest, rest)], A[np.ix_(rest, position)]
        )
        C = free @ np.linalg.inv(free.T @ inner @ free) @ free.T
        return np.array([C[3 * j : 3 * j + 3, 3 * j : 3 * j + 3] for j in range(FEW)])

    marginal, known, sigma_o = joint.covariances(
        scene.xyz_A, scene.occupancy, pair, scene.rotation, scene.shift_A, scene.amplitude
    )
    np.testing.assert_allclose(known, blocks(atoms), atol=0.05 * np.abs(known).max())
    full = blocks(atoms - cross @ np.linalg.solve(own, cross.T))
    ratio = np.trace(marginal, axis1=1, axis2=2) / np.trace(full, axis1=1, axis2=2)
    assert ratio == pytest.approx(1, abs=0.02), ratio
    assert (np.trace(marginal - known, axis1=1, axis2=2) > 0).all()


def test_a_planted_profile_is_fitted():
    """Would catch a profile fitted to frames that see another high-pass, and a height that goes astray."""
    ringed = Profile(np.array([0.30, 0.42, 0.60]), np.array([0.62, 1.05, -0.75]), 0.2)
    planted = Profile(ringed.sigma_A, ringed.weight / ringed.value(0.0), 0.2)
    scene = drawing.scene(frames=60, step_deg=9.0, amplitude=4.0, profile=planted, seed=24)
    found, factor = joint.fit_profile(
        scene.frames,
        drawing.PIXEL_A,
        0.2,
        scene.xyz_A,
        scene.occupancy,
        scene.rotation,
        scene.shift_A,
        scene.amplitude,
    )
    r = np.linspace(0, 3, 60)
    np.testing.assert_allclose(found.value(r), planted.value(r), atol=0.04)
    assert found.value(0.0) == pytest.approx(1)
    assert factor == pytest.approx(1, abs=0.05)
    assert overlap(found, found, drawing.PIXEL_A).table[0, 0] == pytest.approx(
        overlap(planted, planted, drawing.PIXEL_A).table[0, 0], rel=0.05
    )


def narrow(frames, amplitude, seed, step_deg):
    """A cluster seen from a narrow range of directions: atoms, poses, filtered frames, overlap."""
    rng = np.random.default_rng(seed)
    xyz, profile = drawing.cluster(), Profile.gaussian(0.45, 0.2)
    turns = Rotation.from_rotvec(np.radians(step_deg) / np.sqrt(3) * rng.normal(size=(frames, 3)))
    path = [Rotation.identity()]
    for turn in turns[1:]:
        path.append(turn * path[-1])
    R, s = Rotation.concatenate(path).as_matrix(), 0.1 * rng.normal(size=(frames, 2))
    clean = [amplitude * drawing.spots(xyz @ r[:2].T + t, np.ones(len(xyz)), profile) for r, t in zip(R, s)]
    images = (np.array(clean) + rng.normal(size=(frames, drawing.SIDE, drawing.SIDE))).astype(np.float32)
    return (
        xyz,
        R,
        s,
        filter_frames(images, drawing.PIXEL_A, profile),
        overlap(profile, profile, drawing.PIXEL_A),
    )


def along_sight(found, true, R):
    """Strain (per cent) along the mean line of sight."""
    view = R[:, 2]
    line = np.linalg.eigh(view.T @ view)[1][:, -1]
    x, y = found - found.mean(0), true - true.mean(0)
    x = Rotation.align_vectors(y, x)[0].apply(x)
    return 100 * (line @ np.linalg.lstsq(y, x, rcond=None)[0] @ line - 1)


def test_atoms_and_poses_together_undo_a_stretch_along_the_line_of_sight():
    """Would catch a Schur complement of the wrong sign or block, and poses that do not follow the atoms."""
    xyz, R, s, filtered, K = narrow(200, 30.0, 5, 2.5)
    stretched = xyz * [1, 1, 1.03]
    amplitude = np.full(len(R), 30.0)
    left = {}
    for name in ("in turn", "together"):
        x, o = stretched, np.ones(len(xyz))
        turned, t, a, *_ = polish(filtered, x, o, K, R, s, amplitude, 8)
        for _ in range(3):
            if name == "in turn":
                x, o, _ = joint.atom_step(filtered, x, o, K, turned, t, a)
            else:
                x, o, _, change = joint.free_step(filtered, x, o, K, turned, t, a)
                turned, t = rotvec_matrices(change[:, 2:5]) @ turned, t + change[:, :2]
            turned, t, a, *_ = polish(filtered, x, o, K, turned, t, a, 4)
        left[name] = abs(along_sight(x, xyz, R))
    assert left["in turn"] > 2
    assert left["together"] < 0.5


def test_neighbours_that_hold_the_poses_do_not_stretch_the_model():
    """Would catch equations at poses of the path: a walk's prior prefers small turns and with them a high model."""
    strain = {"path": [], "alone": []}
    for seed in (0, 1):
        xyz, R, s, filtered, K = narrow(200, 3.0, seed, 2.5)
        walk = {"walk_deg": 2.5, "walk_A": 0.3, "box_A": np.zeros((len(R), 2))}
        for name in strain:
            x, o, turned, t, a = xyz, np.ones(len(xyz)), R, s, np.full(len(R), 3.0)
            for _ in range(4):
                turned, t, a, *_ = polish(filtered, x, o, K, turned, t, a, 4, **walk)
                if name == "path":
                    x, o, _, change = joint.free_step(filtered, x, o, K, turned, t, a)
                    turned, t = rotvec_matrices(change[:, 2:5]) @ turned, t + change[:, :2]
                else:
                    x, o, _, turned, t, a = free_step(filtered, x, o, K, turned, t, a)
            strain[name].append(along_sight(x, xyz, R))
    assert np.mean(strain["path"]) > 4
    assert abs(np.mean(strain["alone"])) < 1.5
