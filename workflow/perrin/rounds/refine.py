"""From poses on a lattice to atoms: a first model from one short stretch, branches repaired, all refined jointly.

The first model comes from one window of some hundred frames: over all frames the shifts of the lattice path
have slipped, and the occupancies would blend several shifted copies of the particle. With that model, which has a
shape, every frame finds its branch; then atoms, profile and poses are refined in turn.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np

from perrin.atoms import joint, sites
from perrin.atoms.proposals import add_and_remove
from perrin.imaging import lattice
from perrin.imaging.blobs import Filtered, filter_frames, model_norms
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import bad_stretches, borrow, mend

log = logging.getLogger("perrin")

HIGHPASS = 0.20  # 1/angstrom, atom stages: keeps an atom's image within 3 angstrom
PROFILE_FRAMES = 150


@dataclass(frozen=True)
class Solution:
    """Poses of frames and the atoms they show.

    rotation (f, 3, 3), shift_A (f, 2), amplitude (f,), gain (f,) log-likelihood ratio to an empty
    frame, sigma (f,) radians
    xyz_A (n, 3) body frame, occupancy (n,), profile : Profile of one atom
    step_deg : rms rotation between frames
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


def measured_step_deg(rotation, gap=None):
    """Rms rotation a frame from refined poses: from the median of squared angles, which jumps do not move.

    The squared angle of a random walk in three dimensions is chi-square with 3 degrees of freedom: median 2.366.
    """
    squared = np.square(angles_between(rotation[1:], rotation[:-1]))
    if gap is not None:
        squared = squared / gap[1:]
    return float(np.degrees(np.sqrt(3 * np.median(squared) / 2.366)))


def seed_sites(filtered, lock, profile, pixel_A, extent_A, amplitude, box_A, window=120, refine=3):
    """Sites and occupancies from the best short window.

    Windows overlap by half; the three with the clearest occupancies (few grey ones) and good evidence are
    refined by themselves, and the clearest of those is the first model.
    returns xyz_A, occupancy (plateau 1), amplitude of that window, all sites
    """
    spacing = lattice.nearest_distance(lock.system, lock.a_A)
    radius = max(lock.radius_A + 1.6 * spacing, extent_A + 0.9 * spacing)
    all_sites = lattice.sites(lock.system, lock.a_A, radius, lock.offset_A)
    differences = sites.difference_table(all_sites)
    expected = 4 / 3 * np.pi * lock.radius_A**3 / lattice.volume_per_atom(lock.system, lock.a_A)
    K = overlap(profile, profile, pixel_A)
    window = min(window, len(lock.rotation))
    tried = []
    for first in range(0, len(lock.rotation) - window + 1, max(window // 2, 1)):
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude)
        level, grey = _occupancies(few, all_sites, R, s, a, K, differences, expected)[1:]
        value = np.log(max(lock.evidence[part].mean(), 1.1)) * (1 - grey)
        tried.append((value, first, level, grey))
    best = None
    for _, first, level, _ in sorted(tried, reverse=True)[:3]:
        part = slice(first, first + window)
        few = Filtered(filtered.coefficient[part], filtered.step_A, filtered.centre)
        R, s, a = lock.rotation[part], lock.shift_A[part], np.full(window, amplitude * level)
        for _ in range(refine):
            o, level, grey = _occupancies(few, all_sites, R, s, a, K, differences, expected)
            keep = o > 0.5
            a = a * level
            R, s, a, gain, _ = polish(
                few,
                all_sites[keep],
                np.minimum(o[keep], 1.2),
                K,
                R,
                s,
                a,
                3,
                walk_deg=lock.step_deg,
                box_A=box_A[part],
            )
        o, level, grey = _occupancies(few, all_sites, R, s, a, K, differences, expected)
        log.info(
            "seed from row %d: %d sites, grey share %.2f, %.0f nats",
            first,
            (o > 0.5).sum(),
            grey,
            gain.mean(),
        )
        if best is None or grey < best[0]:
            best = (grey, first, o, float(np.median(a)) * level)
    grey, first, o, level = best
    keep = o > 0.5
    log.info("first model from row %d: %d sites, grey share %.2f", first, keep.sum(), grey)
    return all_sites[keep], np.minimum(o[keep], 1.2), level, (all_sites, differences, expected)


def _occupancies(filtered, points, R, s, a, K, differences, expected):
    """Occupancies with their plateau at 1, the plateau, the grey share."""
    b, N = sites.site_equations(filtered, points, R, s, a, K, differences)
    o = sites.nonnegative_solution(b, N)
    level = max(sites.plateau(o, expected), 1e-6)
    return o / level, level, sites.grey_share(o / level)


def first_solution(frames, pixel_A, lock, extent_A, box_A, gap=None, rounds=4):
    """Poses on one branch and atoms on lattice sites, from a lattice lock.

    frames : (f, n, n) float32, clean; box_A (f, 2): absolute place of the boxes
    """
    from perrin.rounds.lock import WIDTH_A, atom_amplitude

    raw = Profile(np.array([WIDTH_A]), np.array([1.0]), HIGHPASS)
    profile = Profile.gaussian(WIDTH_A, HIGHPASS)
    amplitude = atom_amplitude(lock) * float(raw.value(0.0))
    filtered = filter_frames(frames, pixel_A, profile)
    K = overlap(profile, profile, pixel_A)
    xyz, o, level, (all_sites, differences, expected) = seed_sites(
        filtered, lock, profile, pixel_A, extent_A, amplitude, box_A
    )
    group = lattice.rotation_group(lock.system)
    slips = lattice.slip_vectors(lock.system, lock.a_A)
    R, s, a = lock.rotation, lock.shift_A, np.full(len(frames), level)
    step = lock.step_deg
    gain = sigma = None
    for turn in range(rounds):
        R, s, changed, better = segment_test(filtered, xyz, o, K, R, s, a, box_A, group, slips, step, gap=gap)
        R, s, a, gain, sigma = polish(filtered, xyz, o, K, R, s, a, 4, walk_deg=step, box_A=box_A, gap=gap)
        step = float(np.clip(measured_step_deg(R, gap), 0.3, 10))
        found, level, grey = _occupancies(filtered, all_sites, R, s, a, K, differences, expected)
        keep = found > 0.5
        xyz, o, a = all_sites[keep], np.minimum(found[keep], 1.2), a * level
        log.info(
            "branches %d: %.1f %% of frames changed (%.2f nats), %d sites, grey share %.2f, %.1f nats a frame",
            turn, 100 * changed.mean(), better, keep.sum(), grey, gain.mean(),
        )  # fmt: skip
        if turn and changed.mean() < 0.02:
            break
    return Solution(R, s, a, gain, sigma, xyz, o, profile, step)


def refine(
    frames, pixel_A, solution, box_A, group=None, slips=None, nearest_A=None, rounds=4, gap=None,
    retest=True, grow=True,
    on_round=None,
):  # fmt: skip
    """Atoms, profile and poses in turn until they rest.

    group, slips, nearest_A : of the lattice; with them branches are tested again once the model has a shape
        (retest) and atoms are added and removed (grow)
    on_round : called with (round, Solution, numbers) after each round
    returns Solution and the list of numbers a round
    """
    rows = np.unique(np.linspace(0, len(frames) - 1, min(PROFILE_FRAMES, len(frames))).astype(int))
    R, s, a, gain = solution.rotation, solution.shift_A, solution.amplitude, solution.gain
    xyz, o, step = solution.xyz_A, solution.occupancy, solution.step_deg
    history = []
    for turn in range(rounds):
        profile, factor = joint.fit_profile(
            frames[rows], pixel_A, HIGHPASS, xyz, o, R[rows], s[rows], a[rows]
        )
        a = a * factor
        filtered = filter_frames(frames, pixel_A, profile)
        K = overlap(profile, profile, pixel_A)
        if turn == 0:
            R, s, a, gain, sigma = polish(
                filtered, xyz, o, K, R, s, a, 3, walk_deg=step, box_A=box_A, gap=gap
            )
        before = xyz
        for _ in range(2):
            xyz, o, moved = joint.atom_step(filtered, xyz, o, K, R, s, a)
        added = removed = 0
        if grow and turn > 0:
            xyz, o, added, removed = add_and_remove(filtered, xyz, o, K, R, s, a, nearest_A)
            if added or removed:
                xyz, o, moved = joint.atom_step(filtered, xyz, o, K, R, s, a)
        level = np.median(o)
        o, a = o / level, a * level
        R, s, a, gain, sigma = polish(filtered, xyz, o, K, R, s, a, 4, walk_deg=step, box_A=box_A, gap=gap)
        step = float(np.clip(measured_step_deg(R, gap), 0.3, 10))
        changed = 0.0
        if retest and turn == 0 and group is not None:
            R, s, flips, _ = segment_test(filtered, xyz, o, K, R, s, a, box_A, group, slips, step, gap=gap)
            changed = float(flips.mean())
            if changed:
                R, s, a, gain, sigma = polish(
                    filtered, xyz, o, K, R, s, a, 3, walk_deg=step, box_A=box_A, gap=gap
                )
        R, s, a, gain, lent = borrow(filtered, xyz, o, K, R, s, a, gain, box_A, step)
        R, s, a, gain, mended = mend(filtered, xyz, o, K, R, s, a, gain, box_A, step)
        if lent or mended:
            R, s, a, gain, sigma = polish(
                filtered, xyz, o, K, R, s, a, 2, walk_deg=step, box_A=box_A, gap=gap
            )
        numbers = {
            "n_atoms": len(xyz),
            "added": added,
            "removed": removed,
            "gain": float(gain.mean()),
            "moved_A": float(moved),
            "occupancy_sd": float(o.std()),
            "occupancy_min": float(o.min()) if len(o) else np.nan,
            "frames_relabelled": changed,
            "frames_mended": int(lent),
            "stretches_mended": int(mended),
            "stretches_left": len(bad_stretches(R, step)),
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
        still = len(before) == len(xyz) and moved < 0.02
        if still and not (added or removed or mended or changed):
            break
    return solution, history


def expected_ratio(solution, pixel_A):
    """Likelihood gain of every frame over that of a perfect fit at the movie's amplitude, (f,); about 1."""
    K = overlap(solution.profile, solution.profile, pixel_A)
    norms = model_norms(solution.xyz_A, solution.occupancy, solution.rotation, K)
    return solution.gain / (np.median(solution.amplitude) ** 2 * norms / 2)


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
