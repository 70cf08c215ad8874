"""Known truth put in: the found model filmed again with the found poses and noise, and found anew.

It tells what this window's views, dose and motion allow: how many of such atoms come back, and how far off.
"""

import numpy as np
from scipy.spatial.transform import Rotation

from perrin.imaging.profile import Profile
from perrin.imaging.rotations import quaternions, rotvec_matrices
from perrin.simulate.images import simulate_boxes

MATCH_A = 1.0
STEP_DEG = 2.5  # between the frames of the movie that is made, at most, where those of the window are nearer


def injected_truth(solution, box_px, pixel_A, again, seed, most_frames=400):
    """Film a solution's atoms and find them anew.

    solution : Solution, taken as truth; again : function (images, rows, start Poses as rotation, shift_A,
        amplitude) -> Solution, which must find the atoms from frames and uncertain poses
    most_frames : of the movie that is made: of a particle that turns slowly every second or third, that its views are
        the window's
    returns dict: frames, n_atoms, recall, precision, rmsd_A
    """
    rng = np.random.default_rng([seed, 7])
    stride = max(min(len(solution.rotation) / most_frames, (STEP_DEG / solution.step_deg) ** 2), 1)
    rows = np.arange(0, len(solution.rotation), int(stride))[:most_frames]
    R, s, a = solution.rotation[rows], solution.shift_A[rows], solution.amplitude[rows]
    images = simulate_boxes(
        solution.xyz_A, quaternions(R), s, box_px, pixel_A, a, spots(solution.profile), seed=seed
    )
    turn = rng.normal(0, 1, (len(rows), 3)) * np.clip(solution.sigma[rows], 0, np.radians(5))[:, None]
    start_R = rotvec_matrices(turn) @ R
    start_s = s + rng.normal(0, 0.1, s.shape)
    found = again(images, rows, start_R, start_s, a)
    pairs = mutual_pairs(solution.xyz_A, found.xyz_A, MATCH_A)
    return {
        "frames": len(rows),
        "n_atoms": len(found.xyz_A),
        "recall": len(pairs) / max(len(solution.xyz_A), 1),
        "precision": len(pairs) / max(len(found.xyz_A), 1),
        "rmsd_A": rigid_rmsd(solution.xyz_A, found.xyz_A, pairs),
    }


def spots(profile: Profile):
    """An atom's profile as the simulator takes it: Gaussians and their heights, without the high-pass."""
    return tuple(
        (float(s), float(w / (2 * np.pi * s**2)))
        for s, w in zip(profile.sigma_A, profile.weight, strict=True)
    )


def rigid_rmsd(first, second, pairs):
    """Root mean square distance of paired points after a rigid fit, angstrom; None for fewer than four pairs."""
    if len(pairs) < 4:
        return None
    fixed = first[pairs[:, 0]]
    return float(np.sqrt(np.square(rigid_fit(second[pairs[:, 1]], fixed) - fixed).sum(1).mean()))


def mutual_pairs(first, second, limit_A):
    """(m, 2) rows of mutually nearest points of two sets within limit_A."""
    if not len(first) or not len(second):
        return np.zeros((0, 2), int)
    distance = np.linalg.norm(first[:, None] - second, axis=2)
    there, back = distance.argmin(1), distance.argmin(0)
    rows = np.arange(len(first))
    good = (back[there] == rows) & (distance[rows, there] <= limit_A)
    return np.c_[rows[good], there[good]]


def rigid_fit(moving, fixed):
    """Points moved onto others by the best rotation and translation (Kabsch)."""
    middle, target = moving.mean(0), fixed.mean(0)
    turn, _ = Rotation.align_vectors(fixed - target, moving - middle)
    return turn.apply(moving - middle) + target
