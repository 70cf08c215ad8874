"""The lattice path settled on the particle's shape, before any atom is known.

A path on a grid of orientations is off by the grid's step, its shifts have slipped by lattice vectors in a fifth of
the frames, and stretches of it are lost where a ball explains an uneven particle badly. Occupancies of lattice sites
from all frames of such a path are no atoms yet: they blend copies of the particle that are a lattice vector apart. But
they reach as far as the particle does in every direction, most frames agree on where it is, and the others follow:
a shape as smooth a model for polishing as a ball, and one for elongated and flat particles too. It hardly tells hands,
so flips remain.
"""

import logging
from dataclasses import replace

import numpy as np

from perrin.imaging import lattice
from perrin.imaging.rotations import across
from perrin.poses.lost import borrow
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import mend
from perrin.rounds.refine import measured_step_deg
from perrin.rounds.seed import occupancies

log = logging.getLogger("perrin")

NO_TURN = np.eye(3)[None]
FAINT = 0.15  # of the plateau: sites below it are no part of the shape
MOST = 1.2  # of the plateau: what one site counts at most
TURNS = 12  # at most; round particles take three, the ends of elongated ones come out by and by
RISE = 1.003  # of the log-likelihood: a turn that wins less is the last
# mean square sine of the angle between the views and their mean: below it a shape a layer too thin, turned by more,
# explains the frames nearly as well, and the atoms that it lacks come out slowly
NARROW = 0.1
NARROW_TURNS, NARROW_RISE = 40, 1.0003


def settle(filtered, lock, around, overlap, amplitude, box_A, gap=None):
    """Poses of a lattice path refined against its own shape, slips undone, stretches between jumps tracked anew.

    filtered : Filtered frames; around : Sites that are asked; overlap : Overlap of the profile
    amplitude : of one atom in it; box_A (f, 2) : absolute place of the boxes; gap (f,) : frames since the one before
    returns the lock with these poses, the amplitude (f,), around with the number of atoms that the shape holds
    """
    slips = lattice.slip_vectors(lock.system, lock.a_A)
    R, s, a = lock.rotation, lock.shift_A, np.full(len(lock.rotation), float(amplitude))
    step, o, before = lock.step_deg, None, 0.0
    narrow = np.linalg.eigvalsh(across(R))[0] < NARROW
    turns, rise = (NARROW_TURNS, NARROW_RISE) if narrow else (TURNS, RISE)
    for turn in range(turns):
        o, level, _ = occupancies(filtered, around, R, s, a, overlap, start=o, bounded=False)
        a = a * level
        there = o > FAINT
        model = around.xyz_A[there], np.minimum(o[there], MOST), overlap
        R, s, slipped, _ = segment_test(
            filtered, *model, R, s, a, box_A, NO_TURN, slips, step, gap=gap, half_turn=False
        )
        R, s, a, gain, sigma = polish(filtered, *model, R, s, a, 4, walk_deg=step, box_A=box_A, gap=gap)
        step = float(np.clip(measured_step_deg(R, gap, sigma, step), 0.8, 9.0))
        R, s, a, gain, lent = borrow(filtered, *model, R, s, a, gain, box_A, step)
        rises, mended = gain.mean() > rise * before, 0
        if turn == 0 or not rises:  # the dearest step; a shape that has settled tells stretches best
            R, s, a, gain, mended = mend(filtered, *model, R, s, a, gain, box_A, step, low_runs="none")
        log.info(
            "shape of %.0f atoms on %d sites: %.1f %% of the frames had slipped, %d borrowed a pose, %d stretches "
            "tracked anew, step %.2f deg, %.1f nats a frame", model[1].sum(), there.sum(), 100 * slipped.mean(), lent,
            mended, step, gain.mean(),
        )  # fmt: skip
        before = gain.mean()
        if not (rises or mended):
            break
    # a ball within an elongated particle holds fewer atoms than the particle
    around = replace(around, expected=max(around.expected, float(model[1].sum())))
    return replace(lock, rotation=R, shift_A=s, step_deg=step), a, around
