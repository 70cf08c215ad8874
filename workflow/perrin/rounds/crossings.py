"""Frames in the other hand behind a two-fold axis, told by atoms that only one side of it has shaped.

Where the beam passes along a two-fold axis of the lattice, half a turn about the beam is a rotation of the lattice, and
the path may go on as the mirrored body's without a jump. Atoms refined from frames of both hands are a compromise that
fits either, so that no test against them tells. Atoms of the longest piece between two such crossings are of one hand.
Where images show how high atoms lie, that has told the hand already, and no piece is asked.
"""

import logging
from dataclasses import replace

import numpy as np

from perrin.atoms.depth import hand_shares, slope
from perrin.imaging.blobs import filter_frames
from perrin.imaging.grids import HALF_TURN
from perrin.imaging.lattice import branches, nearest_distance
from perrin.imaging.profile import overlap
from perrin.poses.relabel import segment_test
from perrin.rounds.refine import refine, rows_of

log = logging.getLogger("perrin")

# that half a turn about the beam lacks to a rotation of the lattice: the beam is 3 degrees from the axis
CROSSING_DEG = 6.0
LEAST_FRAMES = 150  # of a piece: fewer frames say too little of its atoms
ROUNDS = 3  # of refinement of the piece's atoms
TOLD = 0.5  # share of frames whose depth tells the hand above which atoms need not be asked
CHANGED = 0.01  # share of frames on another branch below which nothing is asked


def pieces(rotation, group):
    """(first, stop) of the runs of frames in which the beam passes along no two-fold axis of the lattice."""
    # half a turn about the beam, as the body sees it
    turned = np.einsum("fji,jk,fkl->fil", rotation, HALF_TURN, rotation)
    trace = np.einsum("fij,gij->fg", turned, group).max(1)
    crossing = trace > 1 + 2 * np.cos(np.radians(CROSSING_DEG))
    edges = np.flatnonzero(np.diff(np.r_[1, crossing, 1]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist()))


def in_one_hand(data, solution, system, a_A, n_rounds):
    """The solution with frames behind a crossing in the other hand, where that explains the frames better.

    data : Frames; solution : Solution refined from all of them; n_rounds : of a refinement of all
    returns Solution and the numbers of the rounds that it took; as it was, and none, where nothing is won
    """
    group, slips = branches(system, a_A)
    runs = pieces(solution.rotation, group)
    first, stop = max(runs, key=lambda run: run[1] - run[0], default=(0, 0))
    if stop - first < LEAST_FRAMES or stop - first == len(data):
        return solution, []
    if _told_by_depth(data, solution):
        return solution, []
    part, nearest_A = slice(first, stop), nearest_distance(system, a_A)
    few = data.take(part)
    own, _ = refine(
        few.images,
        data.pixel_A,
        rows_of(solution, part),
        few.box_A,
        nearest_A=nearest_A,
        rounds=ROUNDS,
        gap=few.gap,
    )
    filtered = filter_frames(data.images, data.pixel_A, own.profile)
    K = overlap(own.profile, own.profile, data.pixel_A)
    R, s, changed, _ = segment_test(
        filtered, own.xyz_A, own.occupancy, K, solution.rotation, solution.shift_A, solution.amplitude, data.box_A,
        group, slips, solution.step_deg, gap=data.gap,
    )  # fmt: skip
    log.info(
        "by the atoms of frames %d to %d, between two crossings, %.1f %% of the frames are on another branch",
        data.number[first], data.number[stop - 1], 100 * changed.mean(),
    )  # fmt: skip
    if changed.mean() < CHANGED:
        return solution, []
    start = replace(
        solution, rotation=R, shift_A=s, xyz_A=own.xyz_A, occupancy=own.occupancy, profile=own.profile
    )
    found, history = refine(
        data.images,
        data.pixel_A,
        start,
        data.box_A,
        group,
        slips,
        nearest_A,
        n_rounds,
        data.gap,
        thorough=True,
    )
    log.info("with these %.2f nats a frame, %.2f before", found.gain.mean(), solution.gain.mean())
    return (found, history) if found.gain.mean() > solution.gain.mean() else (solution, [])


def _told_by_depth(data, solution):
    """Whether the depth of the atoms, where images show it, puts most frames in one hand and none in the other."""
    filtered = filter_frames(data.images, data.pixel_A, solution.profile)
    K = overlap(solution.profile, solution.profile, data.pixel_A)
    told, contrary = hand_shares(
        *slope(filtered, solution.xyz_A, K, solution.rotation, solution.shift_A, solution.amplitude)
    )
    return told > TOLD and contrary == 0
