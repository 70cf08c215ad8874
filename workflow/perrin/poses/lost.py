"""Single frames that lost their pose: given that of a neighbour, or looked for all around it.

Where the particle turns by more than a pose's capture range in one step, a frame by itself may rest in a maximum beside
the right one, and the path about it is as good as before. (Runs of frames: `perrin.poses.stretches`.)
"""

import numpy as np
from scipy.ndimage import median_filter
from scipy.spatial.transform import Rotation

from perrin.imaging.pairs import model_norms
from perrin.imaging.rotations import angles_between, rotvec_matrices
from perrin.poses.polish import polish
from perrin.poses.stretches import FOLLOWED, turn_cost

LOST_SIGMAS = 2.0  # below the likelihood expected: a frame to look for anew
WIDEST_DEG = 18.0  # of that search


def borrow(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, gain, box_A, step_deg, walk_A=0.2
):
    """Offer suspicious frames the poses of their neighbours; keep what raises likelihood plus continuity.

    A frame is suspicious where it turned or moved against a neighbour by more than 2.2 steps.
    returns rotation, shift_A, amplitude, gain, number of frames changed
    """
    R, s, a, gain = rotation.copy(), shift_A.copy(), amplitude.copy(), gain.copy()
    frames = len(R)
    place = s + box_A
    turned = angles_between(R[1:], R[:-1]) > 2.2 * np.radians(step_deg)
    moved = np.linalg.norm(np.diff(place, axis=0), axis=1) > 4.5 * walk_A
    suspicious = np.zeros(frames, bool)
    suspicious[1:] |= turned | moved
    suspicious[:-1] |= turned | moved
    rows = np.flatnonzero(suspicious)
    donors = [(f, f + d) for f in rows for d in (-3, -2, -1, 1, 2, 3) if 0 <= f + d < frames]
    if not donors:
        return R, s, a, gain, 0
    f, d = np.array(donors).T
    tR, ts, ta, tgain, _ = polish(
        filtered, xyz_A, occupancy, overlap, R[d], place[d] - box_A[f], a[d], iterations=6, images=f,
        amplitude_mean=float(np.median(a)),
    )  # fmt: skip

    def continuity(candidate, frame):
        near = [n for n in (frame - 1, frame + 1) if 0 <= n < frames]
        return _charge(candidate[None], R[near], step_deg)[0]

    changed = 0
    for frame in rows:
        own = np.flatnonzero(f == frame)
        score = [tgain[i] - continuity(tR[i], frame) for i in own]
        best = own[int(np.argmax(score))]
        if max(score) > gain[frame] - continuity(R[frame], frame) + 0.5:
            R[frame], s[frame], a[frame], gain[frame] = tR[best], ts[best], ta[best], tgain[best]
            changed += 1
    return R, s, a, gain, changed


def seek(filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, gain, box_A, step_deg):
    """Look all around their neighbours' poses for frames that are explained by much less than they should be.

    Where the particle turns by more than a pose's capture range in one step, a single frame may rest in a maximum
    beside the right one. Only frames next to one that is well explained are looked at, which makes their own
    neighbours the next; what is found must raise likelihood plus continuity.
    returns rotation, shift_A, amplitude, gain, number of frames changed
    """
    R, s, a, gain = rotation.copy(), shift_A.copy(), amplitude.copy(), gain.copy()
    frames, mean = len(R), float(np.median(a))
    level = mean**2 * model_norms(xyz_A, occupancy, R, overlap) / 2
    usual = median_filter(gain / level, min(301, 2 * (frames // 2) + 1), mode="nearest")
    # the likelihood ratio of a true pose is normal with variance twice its mean
    lost = usual * level - gain > LOST_SIGMAS * np.sqrt(2 * np.maximum(usual * level, 1.0))
    around = rotvec_matrices(_ball_of_turns(np.radians(np.clip(3 * step_deg, 8, WIDEST_DEG))))
    changed, asked = 0, lost.copy()
    while True:
        known = np.r_[False, ~lost, False]
        rows = np.flatnonzero(lost & (known[:-2] | known[2:]))
        if not len(rows):
            return R, s, a, gain, changed
        lost[rows], asked[rows] = False, True
        for f in rows:
            near = [n for n in (f - 1, f + 1) if known[n + 1]]
            between = R[near[0]]
            if len(near) == 2:
                half = Rotation.from_matrix(R[near[1]] @ between.T).as_rotvec() / 2
                between = rotvec_matrices(half[None])[0] @ between
            tR = around @ between
            ts = np.tile((s[near] + box_A[near]).mean(0) - box_A[f], (len(tR), 1))
            ta = np.full(len(tR), mean)
            for iterations, kept in ((1, 20), (2, FOLLOWED), (5, 1)):
                tR, ts, ta, tgain, _ = polish(
                    filtered, xyz_A, occupancy, overlap, tR, ts, ta, iterations, images=np.full(len(tR), f),
                    amplitude_mean=mean,
                )  # fmt: skip
                cost = _charge(tR, R[near], step_deg)
                best = np.argsort(cost - tgain, kind="stable")[:kept]
                tR, ts, ta, tgain, cost = tR[best], ts[best], ta[best], tgain[best], cost[best]
            old = _charge(R[f : f + 1], R[near], step_deg)[0]
            if tgain[0] - cost[0] > gain[f] - old + 0.5:
                R[f], s[f], a[f], gain[f] = tR[0], ts[0], ta[0], tgain[0]
                changed += 1
                beside = [n for n in (f - 1, f + 1) if 0 <= n < frames and not asked[n]]
                lost[beside] = True  # they were held by a wrong pose


def _charge(rotation, neighbours, step_deg):
    """(k,) what the turns of (k, 3, 3) against all (m, 3, 3) neighbours cost, nats."""
    return sum(turn_cost(angles_between(rotation, n), step_deg) for n in neighbours)


def _ball_of_turns(radius, spacing=0.07):
    """(m, 3) rotation vectors on a grid of a ball, radians."""
    axis = spacing * np.arange(-int(radius / spacing), int(radius / spacing) + 1)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    return grid[np.linalg.norm(grid, axis=1) <= radius]
