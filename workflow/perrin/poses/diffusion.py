"""Rotational diffusion from a path of orientations."""

import numpy as np

from perrin.imaging.rotations import matrices

JUMP = 6.0  # times the median step: Gaussian steps reach it once in 1e21, slips and mis-posed frames do


def squared_angles(rotations, frames, lag):
    """Squared angles, rad^2, between frames that are exactly `lag` apart, and the index of the earlier one."""
    later = np.searchsorted(frames, frames + lag)
    found = later < len(frames)
    found[found] = frames[later[found]] == frames[found] + lag
    first = np.flatnonzero(found)
    a, b = rotations[first], rotations[later[first]]
    sine = np.sqrt(np.clip(np.square(a - b).sum((1, 2)) / 8, 0, 1))
    return np.square(2 * np.arcsin(sine)), first


def _fit(lags, means, weights):
    """Intercept and slope of a weighted straight line."""
    design = np.stack([np.ones_like(lags), lags], 1)
    scaled = design * weights[:, None]
    return np.linalg.solve(design.T @ scaled, scaled.T @ means)


def rotational_diffusion(poses, frame_time_s, lags=8, blocks=20):
    """Rotational diffusion constant of a trajectory.

    The mean squared angle over t grows as 6 D t; errors of the poses that are independent from frame to frame
    add a constant, 6 sigma^2, which the line over several lags leaves in its intercept. (A single lag would
    count them as motion.) Steps above six times the median step are left out and counted.

    poses : Poses, in order of time; gaps are allowed
    frame_time_s : seconds a frame
    lags : number of lags; fewer where the angle would exceed a radian and begin to saturate
    blocks : contiguous blocks whose scatter gives the error (delete-one jackknife)
    returns dict: D_rad2_per_s, D_error_rad2_per_s, step_deg (rms rotation a frame without pose noise),
    step_error_deg, raw_step_deg (with it), pose_noise_deg (per axis), jumps, lags. NaN where there are fewer
    than 20 steps, or where two frames are a radian apart.
    """
    frames = np.asarray(poses.frame)
    empty = dict.fromkeys(
        (
            "D_rad2_per_s",
            "D_error_rad2_per_s",
            "step_deg",
            "step_error_deg",
            "raw_step_deg",
            "pose_noise_deg",
        ),
        np.nan,
    ) | {"jumps": 0, "lags": 0}
    if len(frames) < 20:
        return empty
    rotations = matrices(poses.quaternion)
    one, start = squared_angles(rotations, frames, 1)
    if len(one) < 20:
        return empty
    jump = np.zeros(len(frames), bool)
    jump[start] = one > JUMP**2 * np.median(one)
    crossed = np.concatenate([[0], np.cumsum(jump)])
    block = np.minimum(np.arange(len(frames)) * blocks // len(frames), blocks - 1)
    sums, counts = [], []
    for lag in range(1, lags + 1):
        squares, first = squared_angles(rotations, frames, lag)
        last = np.searchsorted(frames, frames[first] + lag)
        smooth = crossed[last] == crossed[first]
        squares, first = squares[smooth], first[smooth]
        if len(squares) < 20 or squares.mean() > 1:
            break
        sums.append(np.bincount(block[first], squares, blocks))
        counts.append(np.bincount(block[first], None, blocks))
    sums, counts = np.array(sums), np.array(counts, float)
    used = np.arange(1, len(sums) + 1, dtype=float)
    if len(used) < 2:
        return empty
    # neighbouring lags share their steps: the variance of a mean grows as lag^3 (lag^2 a pair, lag in overlap)
    weights = used**-3
    intercept, slope = _fit(used, sums.sum(1) / counts.sum(1), weights)
    left_out = [
        _fit(used, (sums.sum(1) - sums[:, b]) / np.maximum(counts.sum(1) - counts[:, b], 1), weights)
        for b in range(blocks)
    ]
    spread = np.sqrt((blocks - 1) * np.var(left_out, axis=0))
    slope = max(slope, 0.0)
    step = np.degrees(np.sqrt(slope))
    return {
        "D_rad2_per_s": float(slope / (6 * frame_time_s)),
        "D_error_rad2_per_s": float(spread[1] / (6 * frame_time_s)),
        "step_deg": float(step),
        "step_error_deg": float(np.degrees(spread[1] / (2 * np.sqrt(slope)))) if slope > 0 else np.nan,
        "raw_step_deg": float(np.degrees(np.sqrt(sums[0].sum() / counts[0].sum()))),
        "pose_noise_deg": float(np.degrees(np.sqrt(max(intercept, 0.0) / 6))),
        "jumps": int(jump.sum()),
        "lags": len(used),
    }
