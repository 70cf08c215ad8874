"""Continuity in time over lists of candidates: which one each frame takes, so that the body turns and moves smoothly.

The exact best path (Viterbi) over a few candidates a frame, with the cost of a random walk for turning and moving,
capped so that a stretch without a right candidate is left again. Poses of nearly equal image count as one on the
way; the path is lifted to the nearest of them afterwards.
"""

import numpy as np

from perrin.imaging.symmetry import moved_images, same_images

ANGLE_CAP, PLACE_CAP = 30.0, 15.0  # nats that a jump costs at most, as in `perrin.poses.relabel`


def linked(frame, rotation, place_A, gain, gap, step_deg, own, walk_A=0.2):
    """The candidate that each frame takes.

    frame : (c,) int, ascending; every frame from 0 on has candidates; rotation (c, 3, 3), place_A (c, 2) in the
    field, gain (c,) nats; gap (f,): frames since the one before; step_deg, walk_A : of the random walk
    own : Motions of the model onto itself, `perrin.imaging.symmetry`; None: none
    returns (f,) indices of candidates
    """
    edges = np.r_[np.flatnonzero(np.r_[True, np.diff(frame) != 0]), len(frame)]
    by_angle = 3 / (2 * (1.5 * np.radians(step_deg)) ** 2)
    by_place = 1 / (2 * (1.5 * walk_A) ** 2)
    value, back = gain[: edges[1]], []
    for t in range(1, len(edges) - 1):
        before, now = slice(edges[t - 1], edges[t]), slice(edges[t], edges[t + 1])
        every = (
            rotation[before][:, None] if own is None else same_images(rotation[before], own)
        )  # (p, g, 3, 3)
        cosine = np.einsum("pgij,nij->ngp", every, rotation[now], optimize=True).max(1)
        angle = np.arccos(np.clip((cosine - 1) / 2, -1, 1))
        moved = np.square(place_A[now][:, None] - place_A[before]).sum(-1)
        cost = np.minimum(angle**2 * by_angle / gap[t], ANGLE_CAP)
        cost += np.minimum(moved * by_place / gap[t], PLACE_CAP)
        total = value - cost
        back.append(total.argmax(1))
        value = total.max(1) + gain[now]
    path = [int(np.argmax(value))]
    for step in back[::-1]:
        path.append(int(step[path[-1]]))
    return edges[:-1] + np.array(path[::-1])


def lifted(rotation, shift_A, own):
    """The path, (f, 3, 3) and (f, 2), with each pose replaced by the one of equal image nearest to the frame before."""
    R, s = np.array(rotation, float), np.array(shift_A, float)
    for t in range(1, len(R)):
        every, moved = moved_images(R[t], s[t], own)
        best = int(np.argmax(np.einsum("gij,ij->g", every, R[t - 1])))
        R[t], s[t] = every[best], moved[best]
    return R, s
