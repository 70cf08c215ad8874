"""The lattice path settled on a ball of atoms, before any atom is known.

A path on a grid of orientations is off by the grid's step, and its shifts have slipped by lattice vectors in a fifth
of the frames: the lattice itself cannot tell. A ball of its sites can: its edge is where the particle's is, about,
and it is as smooth a model for polishing as the particle itself. It has no hand, so flips remain.
"""

import logging
from dataclasses import replace

import numpy as np

from perrin.imaging import lattice
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import borrow, mend
from perrin.rounds.refine import measured_step_deg

log = logging.getLogger("perrin")

NO_TURN = np.eye(3)[None]


def settle(filtered, lock, overlap, amplitude, box_A, gap=None, turns=2):
    """Poses of a lattice path refined against a ball of sites, slips undone, stretches between jumps tracked anew.

    filtered : Filtered frames; overlap : Overlap of the same profile; amplitude : of one atom in it
    box_A (f, 2) : absolute place of the boxes; gap (f,) : frames since the one before
    returns the lock with these poses, and the amplitude (f,)
    """
    ball = lattice.sites(lock.system, lock.a_A, lock.radius_A, lock.offset_A)
    slips = lattice.slip_vectors(lock.system, lock.a_A)
    ones = np.ones(len(ball))
    R, s, a = lock.rotation, lock.shift_A, np.full(len(lock.rotation), float(amplitude))
    step = lock.step_deg
    model = ball, ones, overlap
    for _ in range(turns):
        R, s, slipped, _ = segment_test(
            filtered, *model, R, s, a, box_A, NO_TURN, slips, step, gap=gap, half_turn=False
        )
        R, s, a, gain, sigma = polish(filtered, *model, R, s, a, 4, walk_deg=step, box_A=box_A, gap=gap)
        step = float(np.clip(measured_step_deg(R, gap, sigma, step), 0.8, 9.0))
        R, s, a, gain, lent = borrow(filtered, *model, R, s, a, gain, box_A, step)
        R, s, a, gain, mended = mend(filtered, *model, R, s, a, gain, box_A, step, low_runs="none")
        log.info(
            "ball of %d sites: %.1f %% of the frames had slipped, %d borrowed a pose, %d stretches tracked anew, "
            "step %.2f deg, %.1f nats a frame", len(ball), 100 * slipped.mean(), lent, mended, step, gain.mean(),
        )  # fmt: skip
    return replace(lock, rotation=R, shift_A=s, step_deg=step), a
