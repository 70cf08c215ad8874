"""The segment test: discrete errors of a path, found and undone against an asymmetric model.

A lattice cannot tell apart its 24 rotations, the half turn about the beam and its own translations; a path
through time that passes close to a two-fold axis, or along a lattice vector, may leave it on another branch. With a
model that has a shape, every frame can score every branch. The branches are chosen for the whole movie at
once; a change of branch costs what the actual jumps of orientation and of absolute position between neighbouring
frames cost, so undoing a jump is rewarded and nothing else is charged.
"""

import numba
import numpy as np

from perrin.imaging.grids import HALF_TURN
from perrin.imaging.pairs import pair_sums
from perrin.poses.stretches import jumps

HELD = -1e6  # nats of any other branch of a frame that is to stay


@numba.njit(fastmath=True, forceinline=True)
def _samples(coefficient, values):
    """The filtered image on its own grid, from its B-spline coefficients."""
    m = coefficient.shape[0]
    sixth = np.float32(1 / 6)
    for y in range(1, m - 1):
        for x in range(1, m - 1):
            total = np.float32(0)
            for i in range(-1, 2):
                row = coefficient[y + i, x - 1] + 4 * coefficient[y + i, x] + coefficient[y + i, x + 1]
                total += row * (4 if i == 0 else 1)
            values[y, x] = total * sixth * sixth


@numba.njit(parallel=True, fastmath=True, cache=True)
def _branch_scores(
    coefficient,
    centre,
    step,
    xyz,
    occupancy,
    depth,
    middle,
    series,
    rows,
    turned,
    half,
    shift,
    slips,
    alpha,
    out,
):
    """out (f, g, t): log-likelihood ratio of each branch of frames `rows`; turned (f, g, 3, 3) rotations.

    half : number of rotations with norms of their own; what follows are half turns of them about the beam.
    depth : relative change of an atom's image for one angstrom of height above `middle` (3,)

    Images are read at the nearest of their samples, a tenth of an atom's width apart: of hundreds of nats that
    costs one or two, the same for every branch.
    """
    m = coefficient.shape[1]
    for i in numba.prange(len(rows)):
        f = rows[i]
        n = len(xyz)
        r = np.empty((n, 3))
        unused = np.empty((5, 5))
        norm = np.empty(half)
        values = np.zeros((m, m), np.float32)
        _samples(coefficient[f], values)
        place = np.empty((n, 2), np.float32)
        strength = np.empty(n)
        weight = np.empty(n, np.float32)
        for g in range(turned.shape[1]):
            R = turned[f, g]
            for j in range(n):
                r[j, 2] = 0
                for a in range(2):
                    r[j, a] = R[a, 0] * xyz[j, 0] + R[a, 1] * xyz[j, 1] + R[a, 2] * xyz[j, 2]
                    place[j, a] = (r[j, a] + shift[f, a]) / step + centre + 0.5
                height = 0.0
                for b in range(3):
                    height += R[2, b] * (xyz[j, b] - middle[b])
                strength[j] = occupancy[j] * (1 + depth * height)
                weight[j] = strength[j]
            if g < half:  # the half turn about the beam, second half of the list, leaves the norm as it is
                norm[g] = pair_sums(r, strength, series, unused, False)[0]
            for t in range(len(slips)):
                dx = np.float32(
                    (R[0, 0] * slips[t, 0] + R[0, 1] * slips[t, 1] + R[0, 2] * slips[t, 2]) / step
                )
                dy = np.float32(
                    (R[1, 0] * slips[t, 0] + R[1, 1] * slips[t, 1] + R[1, 2] * slips[t, 2]) / step
                )
                c = np.float32(0)
                for j in range(n):
                    x = int(place[j, 0] + dx)
                    y = int(place[j, 1] + dy)
                    if x >= 0 and y >= 0 and x < m and y < m:
                        c += weight[j] * values[y, x]
                out[f, g, t] = alpha[f] * c - alpha[f] ** 2 * norm[g % half] / 2


@numba.njit(parallel=True, fastmath=True, cache=True)
def _best_branches(score, turned, place, by_angle, angle_cap, by_distance, distance_cap, switch, gap):
    frames, rotations, slips = score.shape
    n = rotations * slips
    back = np.zeros((frames, n), np.int32)
    value = score[0].copy().reshape(n)
    angle_cost = np.empty((rotations, rotations))
    for t in range(1, frames):
        for g in numba.prange(rotations):
            for h in range(rotations):
                squared = 0.0
                for i in range(3):
                    for j in range(3):
                        squared += (turned[t, g, i, j] - turned[t - 1, h, i, j]) ** 2
                half = min(np.sqrt(squared / 8), 1.0)
                theta = 2 * np.arcsin(half)
                angle_cost[g, h] = min(theta * theta * by_angle / gap[t], angle_cap[t])
        new = np.empty(n)
        order = np.argsort(-value)  # costs are not negative: what is behind the best so far cannot win
        for k in numba.prange(n):
            g = k // slips
            best = -1e30
            arg = 0
            for l in order:
                if value[l] <= best:
                    break
                h = l // slips
                v = value[l] - angle_cost[g, h]
                if v <= best:
                    continue
                dx = place[t, k, 0] - place[t - 1, l, 0]
                dy = place[t, k, 1] - place[t - 1, l, 1]
                v -= min((dx * dx + dy * dy) * by_distance / gap[t], distance_cap)
                if k != l:
                    v -= switch
                if v > best:
                    best = v
                    arg = l
            new[k] = best + score[t, g, k - g * slips]
            back[t, k] = arg
        value = new
    path = np.empty(frames, np.int64)
    path[-1] = np.argmax(value)
    for t in range(frames - 1, 0, -1):
        path[t - 1] = back[t, path[t]]
    return path


def segment_test(
    filtered, xyz_A, occupancy, overlap, rotation, shift_A, amplitude, box_A, group, slips, walk_deg, walk_A=0.2,
    gap=None, stride=2, held=None, angle_cap=30.0, smooth_cap=None, half_turn=True, depth=0.0,
):  # fmt: skip
    """Undo flips, lattice rotations and slips: poses on the best branch of every frame.

    xyz_A, occupancy : an asymmetric model on lattice sites, an atom (or inversion centre) at the origin
    rotation (f, 3, 3), shift_A (f, 2), amplitude (f,): the path; box_A (f, 2): absolute place of the boxes
    group : (g, 3, 3) rotations of the lattice; slips : (t, 3) its short translations, zero first
    walk_deg, walk_A : rms rotation and per-axis shift between frames
    stride : every how manieth frame is tested; those between follow the one before
    angle_cap : nats that a jump of orientation costs at most; a low cap lets a lost stretch be recovered
    smooth_cap : the same where the path as given does not jump; a high one keeps the particle from turning round where
        a change of its shape makes that tempting. None: angle_cap
    half_turn : also each rotation after half a turn about the beam, which is the mirrored body's projection
    depth : relative change of an atom's image for one angstrom of height (`perrin.atoms.depth.slope`): what tells a
        body from the mirrored one where its shape does not; other than 0 it takes all atoms for equally strong
    held : (f,) bool, frames that stay on the branch they are on; None: none
    returns rotation, shift_A, changed (f,) bool, gain in log-likelihood a tested frame
    """
    frames = len(rotation)
    if depth:
        occupancy = np.ones(len(xyz_A))
    rows = np.arange(0, frames, stride)
    steps = np.ones(frames) if gap is None else np.asarray(gap, float)
    apart = np.add.reduceat(np.r_[steps[1:], 1.0], rows)
    turned = np.einsum("fij,gjk->fgik", rotation, group)
    if half_turn:
        turned = np.concatenate([turned, HALF_TURN @ turned], 1)
    identity = int(np.argmin(np.abs(group - np.eye(3)).sum((1, 2))))
    score = np.zeros((len(rows), turned.shape[1], len(slips)))
    free = np.arange(len(rows)) if held is None else np.flatnonzero(~np.asarray(held)[rows])
    _branch_scores(
        filtered.coefficient[::stride], filtered.centre, filtered.step_A, np.ascontiguousarray(xyz_A, float),
        np.ascontiguousarray(occupancy, float), float(depth), np.average(xyz_A, axis=0, weights=occupancy),
        overlap.series, free, turned[rows], len(group),
        np.ascontiguousarray(shift_A[rows], float), np.ascontiguousarray(slips, float),
        np.ascontiguousarray(amplitude[rows], float), score,
    )  # fmt: skip
    value = score * stride
    if held is not None:
        value[np.asarray(held)[rows]] = HELD
        value[np.asarray(held)[rows], identity, 0] = 0
    moves = np.einsum("fgij,tj->fgti", turned[:, :, :2], slips)
    place = (np.asarray(shift_A + box_A)[rows, None, None] + moves[rows]).reshape(len(rows), -1, 2)
    sigma2 = (1.5 * np.radians(walk_deg) / np.sqrt(3)) ** 2
    since = np.r_[1.0, apart[:-1]]
    cap = np.full(len(rows), float(angle_cap if smooth_cap is None else smooth_cap))
    cap[jumps(rotation[rows], walk_deg, since)] = angle_cap
    path = _best_branches(
        value, turned[rows], place, 1 / (2 * sigma2), cap, 1 / (2 * (1.5 * walk_A) ** 2), 15.0, 3.0,
        since,
    )  # fmt: skip
    g, t = np.divmod(path, len(slips))
    here = np.arange(len(rows))
    gain = score[here, g, t] - score[here, identity, 0]
    g, t = np.repeat(g, stride)[:frames], np.repeat(t, stride)[:frames]
    everyone = np.arange(frames)
    changed = (g != identity) | (t != 0)
    return turned[everyone, g], shift_A + moves[everyone, g, t], changed, float(gain.mean())
