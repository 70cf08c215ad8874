import numpy as np

from perrin.imaging.rotations import matrices, quaternions, rotvec_matrices
from perrin.simulate.images import PLAIN, RINGED, TABLE_STEP_A2, profile_table, project_atoms, simulate_boxes
from perrin.simulate.motion import orientations, positions


def test_an_atom_appears_where_the_conventions_put_it():
    """Catches swapped axes, an inverted rotation, a shifted centre: the atom documented with the data."""
    quaternion = [[0.254266, 0.622226, 0.539644, 0.506920]]
    atom = [[-5.9982, 6.9770, -2.9349]]
    image = project_atoms(atom, quaternion, [[75.5, 75.5]], (152, 152), 0.358, PLAIN)[0]
    y, x = np.mgrid[:152, :152]
    centre = (image * x).sum() / image.sum(), (image * y).sum() / image.sum()
    assert np.allclose(centre, (77.757, 52.420), atol=0.01)


def test_spots_add_up_to_the_formula():
    """Catches errors of the table and its interpolation: brute force over all pixels, two atoms."""
    atoms = np.array([[0.1, -0.2, 0.0], [0.8, 0.4, 2.0]])
    image = project_atoms(atoms, [[1, 0, 0, 0]], [[20, 20]], (41, 41), 0.358, RINGED)[0]
    y, x = (np.mgrid[:41, :41] - 20) * 0.358
    expected = sum(
        weight * np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * sigma**2))
        for a, b, _ in atoms
        for sigma, weight in RINGED
    )
    assert np.abs(image - expected).max() < 1e-3


def test_spots_are_cut_at_the_border():
    """Catches wrap-around and writes outside of the image."""
    image = project_atoms([[0.0, 0, 0]], [[1, 0, 0, 0]], [[0, 5]], (11, 13), 0.358, PLAIN)[0]
    assert abs(image[5, 0] - 1) < 1e-3
    assert abs(image[5, 12]) < 1e-6
    assert not project_atoms([[0.0, 0, 0]], [[1, 0, 0, 0]], [[-50, 5]], (11, 13), 0.358, PLAIN).any()


def test_the_ring_cancels_low_frequencies():
    """Catches an atom that casts a shadow: its integral is 2 pi sum(w s^2), and small."""
    table = profile_table(RINGED)
    integral = np.pi * (table.sum() - table[0] / 2) * TABLE_STEP_A2
    formula = 2 * np.pi * sum(weight * sigma**2 for sigma, weight in RINGED)
    assert abs(integral - formula) < 3e-3  # the tail beyond 4.2 sigma holds 2e-3
    assert abs(formula) < 0.2 * np.pi * table[table > 0].sum() * TABLE_STEP_A2


def test_boxes_have_unit_noise_about_the_projection():
    """Catches a wrong noise scale: without atoms variance 1, mean over many frames = the clean image."""
    empty = simulate_boxes(np.zeros((1, 3)) + 1e3, [[1, 0, 0, 0]] * 20, np.zeros((20, 2)), 64)
    assert abs(empty.var() - 1) < 0.02
    atoms = np.array([[0.0, 0, 0], [1.5, 0.7, 0]])
    pose = [[1, 0, 0, 0]] * 2000
    shift = np.full((2000, 2), 0.3)
    clean = simulate_boxes(atoms, pose[:1], shift[:1], 32, amplitude=1.5, dose=None)[0]
    noisy = simulate_boxes(atoms, pose, shift, 32, amplitude=1.5)
    assert noisy.dtype == np.float32
    assert np.abs(noisy.mean(0) - clean).max() < 5 * 1.3 / np.sqrt(2000)
    assert np.array_equal(noisy[:5], simulate_boxes(atoms, pose[:5], shift[:5], 32, amplitude=1.5))


def test_rotation_steps_have_the_wanted_size_and_stay_confined():
    """Catches a step counted per axis, and a cone that leaks."""
    rng = np.random.default_rng(1)
    free = matrices(orientations({"rms_deg": 2.5}, 4000, rng))
    cosine = np.einsum("nij,nij->n", free[1:], free[:-1])
    steps = np.rad2deg(np.arccos(np.clip((cosine - 1) / 2, -1, 1)))
    assert abs(np.sqrt((steps**2).mean()) - 2.5) < 0.06
    cone = {"kind": "cone", "body_axis": [0, 0, 1], "lab_axis": [1, 0, 0], "half_angle_deg": 20}
    inside = matrices(orientations({"rms_deg": 3, "spin_rms_deg": 3, "confine": cone}, 1000, rng))
    assert np.rad2deg(np.arccos(inside[:, 0, 2])).max() <= 20


def test_positions_drift_jump_and_stay_within_their_walls():
    """Catches a jump at the wrong frame and walls about the wrong point."""
    rng = np.random.default_rng(1)
    walk = positions(
        {"rms_px": 0.0, "pull": 0, "jumps": [{"frame": 3, "shift_px": [5, -2]}]}, 6, (101, 51), rng
    )
    assert np.allclose(walk[:3], (50, 25)) and np.allclose(walk[3:], (55, 23))
    walled = positions({"rms_px": 3.0, "limit_px": 8}, 2000, (101, 51), rng)
    assert np.abs(walled - (50, 25)).max() <= 8


def test_a_pose_shift_moves_the_image():
    """Catches shifts in pixels, or in the body frame: one of 3 pixels to the right is a roll by 3."""
    atoms = np.random.default_rng(2).normal(0, 2, (10, 3))
    turn = rotvec_matrices([[0.3, 0.2, 0.1]])
    q = quaternions(turn)
    still = simulate_boxes(atoms, q, [[0, 0]], 64, dose=None)[0]
    moved = simulate_boxes(atoms, q, [[3 * 0.358, 0]], 64, dose=None)[0]
    assert np.allclose(np.roll(still, 3, 1), moved, atol=1e-4)
