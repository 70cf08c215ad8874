"""Atoms, profile and poses refined jointly against the frames, in rounds, from a model that holds."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from perrin.atoms import joint
from perrin.atoms.depth import hand, hand_evidence, slope, sure_slope
from perrin.atoms.proposals import add_and_remove
from perrin.imaging.blobs import filter_frames
from perrin.imaging.grids import HALF_TURN
from perrin.imaging.optics import depth_profiles
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between, rotvec_matrices
from perrin.poses.lost import borrow, seek
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import bad_stretches, mend

log = logging.getLogger("perrin")

HIGHPASS = 0.20  # 1/angstrom, atom stages: keeps an atom's image within 3 angstrom
PROFILE_FRAMES = 150
UNRELATED_DEG = 126.5  # mean angle between random orientations
ALONE_DEG = 1.0  # median error of poses by single frames above which they say too little of the atoms
SHARES = 1.0, 0.5, 0.25  # of a step of atoms and poses together
STRAY_DEG = 3.0  # from its path: a pose that left for another maximum
GROWING = 0.01  # share of atoms won in the last round above which another follows: a twin grows by layers
RISING = 0.0003  # share of the likelihood won in the last round above which another follows: not at rest
MOST_ROUNDS = 5  # times the rounds asked for, at most


@dataclass(frozen=True)
class Solution:
    """Poses of frames and the atoms they show.

    rotation (f, 3, 3), shift_A (f, 2), amplitude (f,), gain (f,) log-likelihood ratio to an empty
    frame, sigma (f,) radians
    xyz_A (n, 3) body frame, occupancy (n,), profile : Profile of one atom
    step_deg : rms rotation between frames; UNRELATED_DEG where they do not follow each other
    """

    rotation: np.ndarray
    shift_A: np.ndarray
    amplitude: np.ndarray
    gain: np.ndarray
    sigma: np.ndarray
    xyz_A: np.ndarray
    occupancy: np.ndarray
    profile: Profile
    step_deg: float

    @property
    def in_time(self):
        """Whether neighbouring frames hold each other."""
        return self.step_deg < UNRELATED_DEG


def held_in_time(step_deg, box_A, gap):
    """What `polish` is told of neighbouring frames, by name: nothing where they do not follow each other."""
    return {"walk_deg": step_deg, "box_A": box_A, "gap": gap} if step_deg < UNRELATED_DEG else {}


def measured_step_deg(rotation, gap=None, sigma=None, walk_deg=None):
    """Rms rotation a frame from refined poses: from the median of squared angles, which jumps do not move.

    The squared angle of a random walk in three dimensions is chi-square with 3 degrees of freedom: median 2.366.
    Poses that were refined with a random walk's prior are smoother than the particle's path; what a step may still
    differ from theirs is added (one step of expectation maximisation). With the information J a frame and the
    variance q a step, both along one axis, a stationary chain leaves q (1 - sqrt(r / (r + 4))), r = J q, unknown.
    sigma (f,) : width of each pose with its neighbours held, radians; walk_deg : the step of that prior
    """
    squared = np.square(angles_between(rotation[1:], rotation[:-1]))
    if gap is not None:
        squared = squared / gap[1:]
    found = 3 * np.median(squared) / 2.366
    if sigma is not None:
        q = np.radians(walk_deg) ** 2 / 3
        information = max(1 / np.median(np.square(sigma)) - 2 / q, 0.02 / q)
        found += 3 * q * (1 - np.sqrt(information * q / (information * q + 4)))
    return float(np.degrees(np.sqrt(found)))


def free_step(filtered, xyz, o, K, R, s, a, most_caps=joint.MOST_CAPS):
    """Atoms and poses moved together, by what the frames alone say of either.

    At poses that their neighbours hold, a step would stretch the model along the line of sight: a random walk's prior
    prefers small turns, and a higher model explains the same frames by smaller ones. Each frame's own best pose is
    therefore taken for the equations, and the path follows the model. Where frames alone do not know their poses, the
    atoms are moved at those of the path.
    Of the step, its half and its quarter the one is taken that the frames like best: where columns of a dark image
    saturate, or atoms pass each other along the line of sight, the whole one can be worse than none.
    returns xyz, o, largest move (angstrom), R, s, a
    """
    own = polish(filtered, xyz, o, K, R, s, a, 4)
    if not np.degrees(np.median(own[4])) < ALONE_DEG:
        return (*joint.atom_step(filtered, xyz, o, K, R, s, a, most_caps=most_caps), R, s, a)
    stray = angles_between(own[0], R) > np.radians(STRAY_DEG)
    poses = [
        np.where(stray.reshape(-1, *[1] * (path.ndim - 1)), path, one) for path, one in zip((R, s, a), own)
    ]
    new, level, moved, change = joint.free_step(filtered, xyz, o, K, *poses, most_caps=most_caps)

    def along(share, R, s, a):
        turned = rotvec_matrices(share * change[:, 2:5]) @ R
        return turned, s + share * change[:, :2], a + share * change[:, 5]

    def stepped(share):
        return xyz + share * (new - xyz), o + share * (level - o)

    best = max(
        SHARES, key=lambda share: joint.likelihood(filtered, *stepped(share), K, *along(share, *poses)).sum()
    )
    return (*stepped(best), best * moved, *along(best, R, s, a))


def refine(
    frames, pixel_A, solution, box_A, group=None, slips=None, nearest_A=None, rounds=4, gap=None,
    grow=True, thorough=False, on_round=None,
):  # fmt: skip
    """Atoms, profile and poses in turn until they rest.

    group, slips, nearest_A : of the lattice; with them branches are tested again once the model has a shape,
        and atoms are added and removed (grow)
    thorough : look also for atoms that rest on one or two others, and once for frames that lost their pose
    rounds : how many; fewer where the atoms rest before, more (MOST_ROUNDS times) where they do not
    on_round : called with (round, Solution, numbers) after each round
    Unrelated views (step_deg) are refined each by itself, and branches, loans and bad stretches are not asked for.
    returns Solution and the list of numbers a round
    """
    rows = np.unique(np.linspace(0, len(frames) - 1, min(PROFILE_FRAMES, len(frames))).astype(int))
    R, s, a, gain = solution.rotation, solution.shift_A, solution.amplitude, solution.gain
    xyz, o, step = solution.xyz_A, solution.occupancy, solution.step_deg
    history, in_time = [], solution.in_time

    def polished(iterations):
        return polish(filtered, xyz, o, K, R, s, a, iterations, **held_in_time(step, box_A, gap))

    turn, last = 0, rounds
    while turn < last:
        profile, factor = joint.fit_profile(
            frames[rows], pixel_A, HIGHPASS, xyz, o, R[rows], s[rows], a[rows]
        )
        a = a * factor
        # that of the turn before, four times as large as the frames, goes before the next one comes
        filtered = None
        filtered = filter_frames(frames, pixel_A, profile)
        K = overlap(profile, profile, pixel_A)
        if turn == 0:
            R, s, a, gain, sigma = polished(3)
        before = xyz
        if turn == 0:  # poses are not yet those of the atoms
            for _ in range(2):
                xyz, o, moved = joint.atom_step(filtered, xyz, o, K, R, s, a)
        else:
            # atoms of a column that lacks one would spread over its place before it is looked for
            most_caps = 1.0 if turn < rounds else joint.MOST_CAPS
            xyz, o, moved, R, s, a = free_step(filtered, xyz, o, K, R, s, a, most_caps)
        added = removed = 0
        if grow and turn > 0:
            xyz, o, added, removed = add_and_remove(filtered, xyz, o, K, R, s, a, nearest_A, lone=thorough)
            if added or removed:
                xyz, o, moved = joint.atom_step(filtered, xyz, o, K, R, s, a)
        level = np.median(o)
        o, a = o / level, a * level
        R, s, a, gain, sigma = polished(4)
        if in_time:
            step = float(np.clip(measured_step_deg(R, gap, sigma, step), 0.3, 10))
        changed, lent, mended = 0.0, 0, 0
        if in_time and turn == 0 and group is not None:
            depth = sure_slope(*slope(filtered, xyz, K, R, s, a))
            R, s, flips, _ = segment_test(
                filtered, xyz, o, K, R, s, a, box_A, group, slips, step, gap=gap, depth=depth
            )  # fmt: skip
            changed = float(flips.mean())
            if changed:
                R, s, a, gain, sigma = polished(3)
        if in_time:
            R, s, a, gain, lent = borrow(filtered, xyz, o, K, R, s, a, gain, box_A, step)
            R, s, a, gain, mended = mend(filtered, xyz, o, K, R, s, a, gain, box_A, step)
        sought = 0
        if in_time and thorough and turn == 1:
            R, s, a, gain, sought = seek(filtered, xyz, o, K, R, s, a, gain, box_A, step)
        if lent or mended or sought:
            R, s, a, gain, sigma = polished(2)
        numbers = {
            "n_atoms": len(xyz),
            "added": added,
            "removed": removed,
            "gain": float(gain.mean()),
            "moved_A": float(moved),
            "occupancy_sd": float(o.std()),
            "occupancy_min": float(o.min()) if len(o) else np.nan,
            "frames_relabelled": changed,
            "frames_mended": int(lent + sought),
            "stretches_mended": int(mended),
            "stretches_left": len(bad_stretches(R, step)) if in_time else 0,
            "step_deg": step,
        }
        history.append(numbers)
        log.info(
            "round %d: %d atoms (+%d -%d), %.2f nats a frame, moved %.3f A, occupancies %.3f, bad stretches %d",
            turn + 1, len(xyz), added, removed, gain.mean(), moved, o.std(), numbers["stretches_left"],
        )  # fmt: skip
        solution = Solution(R, s, a, gain, sigma, xyz, o, profile, step)
        if on_round is not None:
            on_round(turn, solution, numbers)
        rise = (numbers["gain"] - history[-2]["gain"]) / max(numbers["gain"], 1e-9) if turn > 0 else np.inf
        still = len(before) == len(xyz) and moved < 0.02
        if still and not (added or removed or mended or changed):
            break
        turn += 1
        if turn == last and (added - removed > GROWING * len(xyz) or mended or rise > RISING):
            last = min(last + 1, MOST_ROUNDS * rounds)
    return solution, history


def mirrored(solution):
    """The mirror image of a solution: same projections, heights reversed (inversion, and a half turn of each pose)."""
    return replace(solution, rotation=HALF_TURN @ solution.rotation, xyz_A=-solution.xyz_A)


def hand_of(parts, pixel_A, element, polarity):
    """Evidence for the hand of a refined solution from the depth of its atoms; see `perrin.atoms.depth.hand`.

    The model must be complete: what it lacks on one side looks like depth as long as the particle turns little.
    parts : images and Solution of one stretch or more, each refined by itself, all in one hand
    """
    evidence = []
    for images, one in parts:
        _, change, facts = depth_profiles(element, polarity, one.profile)
        evidence.append(
            hand_evidence(
                images,
                pixel_A,
                one.xyz_A,
                one.occupancy,
                one.rotation,
                one.shift_A,
                one.amplitude,
                one.profile,
                change,
            )
        )
    return hand(*np.concatenate(evidence, axis=1)) | facts


def rows_of(solution, rows):
    """The solution of some of its frames."""
    return replace(
        solution,
        rotation=solution.rotation[rows],
        shift_A=solution.shift_A[rows],
        amplitude=solution.amplitude[rows],
        gain=solution.gain[rows],
        sigma=solution.sigma[rows],
    )
