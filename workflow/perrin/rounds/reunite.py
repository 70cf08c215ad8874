"""What a path grown from the lattice lacks: frames that belong on its main branch, atoms that lie off the lattice.

A particle of two domains, or with a fault, is half of it on a lattice. Its best stretch shows all of it: there atoms
are refined wherever the frames have them, and from there the others are judged.
"""

import logging
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.depth import slope, sure_slope
from perrin.atoms.sites import PRESENT, point_occupancies
from perrin.imaging.blobs import filter_frames
from perrin.imaging.lattice import branches, misorientations, nearest_distance
from perrin.imaging.profile import overlap
from perrin.imaging.rotations import across
from perrin.imaging.symmetry import own_motions
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import jumps
from perrin.rounds.follow import told_apart
from perrin.rounds.given import present
from perrin.rounds.grow import turned_enough
from perrin.rounds.leftover import left_in
from perrin.rounds.refine import held_in_time, refine, rows_of
from perrin.rounds.verdict import LEAST_ATOMS, OCCUPANCY_SD, explained, mistakable, off_main_branch

log = logging.getLogger("perrin")

LEAST_FRAMES = 60  # of a stretch: shorter runs between jumps are not looked at
MAIN_FRAMES = 500  # that show the atoms of the main branch
BEST_FRAMES = 300  # refined for the hand and for atoms off the lattice; more of a particle that turns slowly
OWN_TURNS = 3  # of tests against the atoms' own symmetry, at most
OWN_STRIDE = 4  # every how manieth frame is asked then
DOMAIN = 0.05  # share of a stretch's atoms off the lattice that makes another domain
DISPLACED = 0.22  # of the distance of nearest neighbours: no strain moves an atom so far from its site
BEYOND = 0.45  # of the distance of nearest neighbours: an atom so far from all sites is on none


def frames_off(data, solution, system, refined=True):
    """(f,) bool, frames off the main branch of a solution, see `perrin.rounds.verdict.off_main_branch`.

    refined : whether atoms and their profile are of the frames, and not yet sites of a lattice that may have a twin
    """
    mistaken, left = partial(misorientations, system), None
    if refined:
        there = present(solution)
        mistaken, left = partial(mistakable, there.xyz_A, system), left_in(data.images, data.pixel_A, there)
    return off_main_branch(
        solution.rotation, solution.step_deg, data.gap, explained(solution, data.pixel_A), mistaken=mistaken, left=left,
    )  # fmt: skip


def best_stretch(data, solution, a_A, system, free=None):
    """The stretch whose frames the poses explain best, with atoms, profile and poses refined there.

    Atoms on lattice sites, or of two states at once, are no model that a small term could be read off from, and they
    leave out what does not continue the lattice: the other domain of a twin grows here.
    free (f,) bool : frames that it may have, all where None
    returns Frames, Solution; None in its place where no atoms come out, or too few frames are free
    """
    free = np.ones(len(data), bool) if free is None else free
    # within one run without a jump: beyond it the path may be on another branch
    edges = np.r_[0, jumps(solution.rotation, solution.step_deg, data.gap), len(data)]
    if np.diff(edges).max() < LEAST_FRAMES:
        edges = np.r_[0, len(data)]
    edges = np.union1d(edges, np.flatnonzero(np.diff(free)) + 1)
    longest = (np.diff(edges) * free[edges[:-1]]).max()
    if longest < min(LEAST_FRAMES, len(data)):
        return data.take(slice(0, 0)), None
    length = min(turned_enough(BEST_FRAMES, solution.step_deg), longest)
    smooth = np.convolve(solution.gain, np.ones(length), "valid")
    first, run = np.arange(len(smooth)), np.searchsorted(edges, np.arange(len(data)), "right")
    whole = (run[first] == run[first + length - 1]) & free[first]
    first = int(np.argmax(np.where(whole, smooth, -np.inf)))
    part = slice(first, first + length)
    few, some = data.take(part), rows_of(solution, part)
    nearest = nearest_distance(system, a_A)
    around = some.xyz_A
    K = overlap(some.profile, some.profile, data.pixel_A)
    filtered = filter_frames(few.images, data.pixel_A, some.profile)
    o, _ = point_occupancies(filtered, around, some.rotation, some.shift_A, some.amplitude, K)
    there = o > PRESENT
    if there.sum() < LEAST_ATOMS:
        return few, None
    start = replace(some, xyz_A=around[there], occupancy=np.ones(there.sum()))
    refined, _ = refine(few.images, data.pixel_A, start, few.box_A, nearest_A=nearest, rounds=3, gap=few.gap)
    return few, refined


def reunited(data, solution, off, system, a_A):
    """Frames off the main branch put on it where they belong there, by the atoms that the main branch shows.

    What grew through a stretch on another branch followed that branch's shape, slightly wrong in every frame; against
    the atoms of all the other frames it stands out.
    off (f,) bool : of `off_main_branch`
    returns Solution, off; as they were where no frame is won
    """
    K = overlap(solution.profile, solution.profile, data.pixel_A)
    filtered = filter_frames(data.images, data.pixel_A, solution.profile)
    main = np.flatnonzero(~off)
    main = main[np.unique(np.linspace(0, len(main) - 1, min(MAIN_FRAMES, len(main))).astype(int))]
    poses = solution.rotation, solution.shift_A, solution.amplitude
    few = replace(filtered, coefficient=filtered.coefficient[main])
    seen = [p[main] for p in poses]
    o, _ = point_occupancies(few, solution.xyz_A, *seen, K)
    there = o > PRESENT
    if there.sum() < LEAST_ATOMS:
        return solution, off
    atoms = solution.xyz_A[there], np.minimum(o[there], 1.2)
    depth = sure_slope(*slope(few, atoms[0], K, *seen))
    R, s, changed, _ = segment_test(
        filtered, *atoms, K, *poses, data.box_A, *branches(system, a_A),
        solution.step_deg, gap=data.gap, depth=depth,
    )  # fmt: skip
    walk = held_in_time(solution.step_deg, data.box_A, data.gap)
    R, s, a, gain, sigma = polish(filtered, *atoms, K, R, s, solution.amplitude, 4, **walk)
    found = replace(solution, rotation=R, shift_A=s, amplitude=a, gain=gain, sigma=sigma)
    now = frames_off(data, found, system, refined=False)
    log.info(
        "%.1f %% of the frames off the main branch; tested against its %d atoms: %.1f %%",
        100 * off.mean(), there.sum(), 100 * now.mean(),
    )  # fmt: skip
    return (found, now) if now.sum() < off.sum() else (solution, off)


def regrown(data, solution, off, system, a_A):
    """Poses and atoms of all frames from the atoms of the best stretch, wherever these lie.

    Half a particle on the lattice is no model that the poses of all frames could follow; the whole of it is.
    off (f,) bool : of `off_main_branch`
    returns Solution, off; as they were where no frame is won
    """
    few, best = best_stretch(data, solution, a_A, system)
    if best is None:
        return solution, off
    nearest_A = nearest_distance(system, a_A)
    best, _ = refine(few.images, data.pixel_A, best, few.box_A, nearest_A=nearest_A, rounds=10, gap=few.gap)
    start = replace(
        solution, xyz_A=best.xyz_A, occupancy=np.minimum(best.occupancy, 1.2), profile=best.profile
    )
    found = _refined(data, start, system, a_A, (6, 4))
    for _ in range(OWN_TURNS):  # once in any case: a path goes over to another branch without a jump, too
        found = _by_own_motions(data, found, nearest_A)
        now = frames_off(data, found, system)
        if not now.any():
            break
    log.info(
        "%.1f %% of the frames off the main branch; from the %d atoms of the best stretch: %.1f %%",
        100 * off.mean(), len(best.xyz_A), 100 * now.mean(),
    )  # fmt: skip
    return (_joined(solution, found, nearest_A), now) if now.sum() < off.sum() else (solution, off)


def _by_own_motions(data, solution, nearest_A):
    """Atoms and poses refined, branches being what carries the atoms onto themselves: a decahedron has five turns.

    Of an icosahedron a fiftieth of the atoms tells its 120 branches apart: less than a pose that is off by some degrees
    costs, so each of them is refined before they are compared.
    """
    own = own_motions(solution.xyz_A)
    middle = _moved(solution, solution.xyz_A.mean(0))
    if len(own) > 1:
        K = overlap(solution.profile, solution.profile, data.pixel_A)
        filtered = filter_frames(data.images, data.pixel_A, solution.profile)
        poses = middle.rotation, middle.shift_A, middle.amplitude
        R, s, a = told_apart(
            filtered, middle.xyz_A, middle.occupancy, K, *poses, own, data.box_A, data.gap, middle.step_deg,
            stride=OWN_STRIDE, iterations=3,
        )  # fmt: skip
        middle = replace(middle, rotation=R, shift_A=s, amplitude=a)
    found, _ = refine(
        data.images,
        data.pixel_A,
        middle,
        data.box_A,
        nearest_A=nearest_A,
        rounds=3,
        gap=data.gap,
    )
    return _moved(found, -solution.xyz_A.mean(0))


def _moved(solution, by_A):
    """The same with the body's origin elsewhere, by_A (3,) from where it was."""
    along = (solution.rotation @ by_A)[:, :2]
    return replace(solution, xyz_A=solution.xyz_A - by_A, shift_A=solution.shift_A + along)


def _refined(data, start, system, a_A, rounds):
    """Atoms and poses of all frames, some rounds at a time: branches are tested at the beginning of each time."""
    for number in rounds:
        start, _ = refine(
            data.images, data.pixel_A, start, data.box_A, *branches(system, a_A), nearest_distance(system, a_A), number,
            data.gap,
        )  # fmt: skip
    return start


def with_atoms_beyond(data, solution, best, system, a_A):
    """The solution with the atoms that lie on none of its sites.

    best : Solution of the best stretch, or None. Where many of its atoms are off the lattice, the particle has another
    domain: poses and atoms of all frames are then refined together, and what was on the lattice at any time stays.
    Two halves that a fault displaces share what lies between them: both are off their sites, neither by much. How far
    counts as the stretch shows it: along a line of sight that hardly turns atoms are loose, by an angstrom and more.
    returns Solution, whether its atoms are displaced so
    """
    if best is None or not len(solution.xyz_A):
        return solution, False
    nearest_A = nearest_distance(system, a_A)
    whole = _joined(best, solution, nearest_A)
    beyond = len(whole.xyz_A) - len(solution.xyz_A)
    away, site = cKDTree(solution.xyz_A).query(best.xyz_A)
    shown = across(best.rotation)
    moved = best.xyz_A - solution.xyz_A[site]
    moved = np.sqrt(np.einsum("ni,ij,nj->n", moved, shown / np.linalg.norm(shown, 2), moved))
    far = int(((moved > DISPLACED * nearest_A) & (away <= BEYOND * nearest_A)).sum())
    holds = best.occupancy.std() < OCCUPANCY_SD[0]  # atoms of a stretch that shows too few sides lie anywhere
    log.info(
        "of the %d atoms of the best stretch %d lie off the sites of the lattice, %d others far from their own",
        len(best.xyz_A), beyond, far,
    )  # fmt: skip
    displaced = bool(far >= DOMAIN * len(best.xyz_A) and holds)
    if displaced:
        start = replace(solution, xyz_A=best.xyz_A, occupancy=best.occupancy, profile=best.profile)
    elif beyond >= DOMAIN * len(best.xyz_A):
        start = present(whole)
    else:
        return whole, False
    start = replace(start, occupancy=np.minimum(start.occupancy, 1.2))
    # twice: only a model that has both domains can tell branches
    start = _by_own_motions(data, _refined(data, start, system, a_A, (4, 2)), nearest_A)
    return _joined(solution, start, nearest_A), displaced


def _joined(more, solution, nearest_A):
    """A solution with the atoms of another that lie on none of its own."""
    apart, _ = cKDTree(solution.xyz_A).query(more.xyz_A)
    beyond = apart > BEYOND * nearest_A
    return replace(
        solution,
        xyz_A=np.concatenate([solution.xyz_A, more.xyz_A[beyond]]),
        occupancy=np.concatenate([solution.occupancy, more.occupancy[beyond]]),
    )
