"""The published rounds: projection matching and reconstruction, then atoms, whose density seeds the next round.

A round is at most ten iterations of matching every frame by itself against the reference and reconstructing. The
reference of a round's first iteration is the density simulated from the atoms of the round before, that of the
others the map as it stands, regularised. (In the published program all iterations see the seed; the text says
the map.) Rounds end when the atoms no longer change, normally after three or four.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms import joint
from perrin.atoms.coordination_threshold import threshold_by_coordination
from perrin.atoms.density import scale_to, simulate_density
from perrin.atoms.detect import detect_atoms
from perrin.atoms.metals import contact_distance
from perrin.files.accepted import images_of
from perrin.files.elements import element as element_data
from perrin.files.errors import InputError
from perrin.files.records import Atoms, Map, Poses
from perrin.imaging import lattice as crystal
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between, matrices
from perrin.maps.halves import half_sets
from perrin.maps.icm import icm
from perrin.maps.mask import soft_sphere
from perrin.maps.reconstruct import reconstruct_sets
from perrin.poses.matching import match
from perrin.poses.polish import polish
from perrin.poses.stretches import bad_stretches
from perrin.rounds.lock import WIDTH_A
from perrin.rounds.refine import HIGHPASS, PROFILE_FRAMES, Solution, measured_step_deg

log = logging.getLogger("perrin")

BANDS = ((3.0, 1.5), (3.0, 1.0))  # of the first round, of the others
PUBLISHED_SEARCH = {
    "coarse": 500,
    "fine": 20000,
    "peaks": 3,
    "cap_deg": 10.0,
    "top": 10,
    "angle_step_px": 1.0,
}
STILL_DEG, STILL_SHARE = 0.5, 0.98  # an iteration is the last when so many directions moved less
MATCH_A, MATCH_SHARE, COUNT_CHANGE = 0.3, 0.98, 0.01  # a round is the last when so many atoms stayed
LEAST_ATOMS = 13
JUMP_DEG = 20.0  # between neighbouring frames: particles turn by 1-5 degrees rms
MARGIN_A = 3.0  # of the mask beyond the measured radius
ROUND_NAMES = (
    "round", "iterations", "n_atoms", "matched_share", "rmsd_A", "mean_validity", "mean_correlation",
)  # fmt: skip


@dataclass(frozen=True)
class Coupled:
    """What the rounds ended with: poses, the map and its halves (unregularised), atoms, one row a round."""

    poses: Poses
    density: Map
    halves: tuple
    atoms: Atoms
    rounds: dict


def plain_atoms(xyz_A, element):
    """Atoms of which nothing but the places is known."""
    n = len(xyz_A)
    return Atoms(np.asarray(xyz_A, float), np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), element)


def start_lattice_ball(element, diameter_A, lattice_A=None):
    """Atoms of the bulk lattice in a ball of the measured diameter, an atom at its centre."""
    metal = element_data(element)
    a = lattice_A or metal.lattice_A
    options = {} if metal.c_over_a is None else {"c_over_a": metal.c_over_a}
    return plain_atoms(crystal.sites(metal.system, a, diameter_A / 2, **options), element)


def matched_atoms(before, after, limit_A=MATCH_A):
    """Mutual nearest neighbours of two sets of places within limit_A: share of the larger set, rms distance."""
    if len(before) == 0 or len(after) == 0:
        return 0.0, np.nan
    there, to = cKDTree(after).query(before)
    _, back = cKDTree(before).query(after)
    pair = (there <= limit_A) & (back[to] == np.arange(len(before)))
    rmsd = float(np.sqrt(np.mean(np.square(there[pair])))) if pair.any() else np.nan
    return float(pair.sum() / max(len(before), len(after))), rmsd


def coupled_rounds(
    images, start, poses, element, pixel_A, matched_images=None, lattice_A=None, diameter_A=None, rounds=5,
    iterations=10, bands=BANDS, search=None, threshold="paper", regularise="published", reconstruction="nufft",
    ridge=0.2, half_mode="alternate", mask_radius_A=None, centre=True,
):  # fmt: skip
    """Poses, map and atoms of frames in rounds.

    images : (f, n, n) float32 raw frames, noise 1, that maps are made from; matched_images : frames that are matched
        (denoised, as published); None: the same
    start : Map, Atoms, or None: the map of the poses, or without poses the lattice ball of diameter_A
    poses : Poses or None
    element, pixel_A : chemical symbol, pixel; lattice_A : lattice constant, None: of the bulk
    rounds, iterations : at most so many; bands : (longest, shortest) period of each round, the last for all further
    search : keyword arguments of `perrin.poses.matching.match`; PUBLISHED_SEARCH are the published ones
    threshold : variant of `threshold_by_coordination`: "paper", "program", "off"
    regularise : variant of `perrin.maps.icm.icm` for the references, or "none"
    reconstruction, ridge : see `reconstruct`; published "gridding", 0
    half_mode : "alternate" (published) or "blocks"
    mask_radius_A : soft sphere about the particle; None: the start's extent + 3 angstrom
    centre : between rounds the atoms' centroid goes to the origin, and the poses with it; off keeps the body frame
    returns Coupled; its rounds: dict of lists by ROUND_NAMES
    """
    n = images.shape[-1]
    matched_images = images if matched_images is None else matched_images
    if matched_images.shape != images.shape:
        raise InputError(
            f"frames to match ({matched_images.shape}) and frames to reconstruct ({images.shape}) differ in shape"
        )
    radius = _mask_radius(start, poses, diameter_A, n, pixel_A) if mask_radius_A is None else mask_radius_A
    mask = soft_sphere(n, pixel_A, radius)
    sets = half_sets(len(images), half_mode)
    making = {"method": reconstruction, "ridge": ridge, "mask_radius_A": radius, "amplitudes": False}

    def maps(poses):
        return reconstruct_sets(images, poses, pixel_A, sets, **making)

    search = {"mask_radius_A": radius} | (search or {})
    atoms = start if isinstance(start, Atoms) else None
    scaled = False  # a simulated start is in volts: no likelihood at a fixed amplitude yet
    reference = start if isinstance(start, Map) else None
    if start is None and poses is not None:
        whole, *halves = maps(poses)
        reference, scaled = _regularised(whole, halves, mask, regularise), True
    elif start is None:
        if diameter_A is None:
            raise InputError("rounds from nothing need diameter_A, the measured diameter of the particle")
        atoms = start_lattice_ball(element, diameter_A, lattice_A)
    if reference is None:
        reference = simulate_density(atoms.xyz_A, element, n, pixel_A)
    table = {name: [] for name in ROUND_NAMES}
    for turn in range(rounds):
        band = bands[min(turn, len(bands) - 1)]
        for iteration in range(iterations):
            last = poses
            now = search if scaled else search | {"amplitude": None}
            poses, correlation = match(matched_images, reference, poses, band, **now)
            whole, *halves = maps(poses)
            reference, scaled = _regularised(whole, halves, mask, regularise), True
            still = 0.0 if last is None else _still_share(last, poses)
            log.info(
                "round %d, iteration %d: correlation %.3f, %.1f %% of directions rest",
                turn + 1, iteration + 1, correlation.mean(), 100 * still,
            )  # fmt: skip
            if iteration > 0 and still > STILL_SHARE:
                break
        found = detect_atoms(whole, element, lattice_A, radius)
        found = threshold_by_coordination(found, lattice_A, threshold)
        before = np.zeros((0, 3)) if atoms is None else atoms.xyz_A
        share, rmsd = matched_atoms(before, found.xyz_A)
        validity = float(np.mean(found.extra["validity"])) if len(found) else 0.0
        row = (turn + 1, iteration + 1, len(found), share, rmsd, validity, float(correlation.mean()))
        for name, value in zip(ROUND_NAMES, row):
            table[name].append(value)
        log.info(
            "round %d: %d atoms, %.1f %% of them matched, %.3f A, validity %.3f",
            turn + 1, len(found), 100 * share, rmsd, validity,
        )  # fmt: skip
        rest = share >= MATCH_SHARE and abs(len(found) - len(before)) <= COUNT_CHANGE * len(before)
        atoms = found
        if rest or len(found) < LEAST_ATOMS or turn == rounds - 1:
            break
        factor = scale_to(simulate_density(atoms.xyz_A, element, n, pixel_A), whole, mask > 0.5)
        if centre:
            atoms, poses = centred(atoms, poses)
        simulated = simulate_density(atoms.xyz_A, element, n, pixel_A)
        reference, scaled = Map(simulated.data * np.float32(factor), pixel_A), True
    return Coupled(poses, whole, tuple(halves), atoms, table)


def centred(atoms, poses):
    """Atoms moved so that their centroid is the origin, and poses that show them where they were."""
    middle = atoms.xyz_A.mean(0)
    moved = poses.shift_A + (matrices(poses.quaternion) @ middle)[:, :2]
    return replace(atoms, xyz_A=atoms.xyz_A - middle), replace(poses, shift_A=moved)


def _regularised(whole, halves, mask, variant):
    """The reference: the mean of the regularised halves.

    "published" updates voxels in place, one after the other: that smears the map along the order of the loop, by some
    hundredths of an angstrom, and from iteration to iteration the body would drift away. So it is run in both orders.
    """
    if variant == "none":
        return Map(whole.data * mask, whole.pixel_A)
    parts = list(icm(*halves, variant=variant, mask=mask))
    if variant == "published":
        turned = [Map(half.data[::-1, ::-1, ::-1], half.pixel_A) for half in halves]
        back = icm(*turned, variant=variant, mask=mask[::-1, ::-1, ::-1])
        parts += [Map(half.data[::-1, ::-1, ::-1], half.pixel_A) for half in back]
    return Map(np.mean([part.data for part in parts], axis=0, dtype=np.float32), whole.pixel_A)


def _still_share(before, after):
    """Share of frames whose beam direction in the body moved less than half a degree."""
    first, second = (matrices(p.quaternion)[:, 2] for p in (before, after))
    cosine = np.sum(first * second, 1)
    return float(np.mean(cosine > np.cos(np.radians(STILL_DEG))))


def _mask_radius(start, poses, diameter_A, n, pixel_A):
    whole = n / 2 * pixel_A
    if isinstance(start, Atoms):
        return min(whole, float(np.linalg.norm(start.xyz_A, axis=1).max()) + MARGIN_A)
    return whole if diameter_A is None else min(whole, diameter_A / 2 + MARGIN_A)


# The rounds as the stages average3d and window3d take them


def mean_lattice_constant(xyz_A, element):
    """Lattice constant from the mean bond of a set of atoms, angstrom; of the bulk without bonds."""
    metal = element_data(element)
    distance = np.linalg.norm(xyz_A[:, None] - xyz_A, axis=-1)
    bonds = distance[(distance > 0) & (distance < contact_distance(element))]
    if len(bonds) == 0:
        return metal.lattice_A
    return float(bonds.mean() / crystal.nearest_distance(metal.system, 1.0))


def solution_of(images, pixel_A, coupled, gap=None):
    """The end of published rounds as a Solution: its atoms with a fitted profile, amplitudes and gains of frames.

    Too few atoms, or atoms that the frames do not show, give gains of 0 (which `judge_solution` calls failed).
    """
    poses, xyz = coupled.poses, coupled.atoms.xyz_A
    R, s, occupancy = matrices(poses.quaternion), np.array(poses.shift_A), np.ones(len(xyz))
    step = measured_step_deg(R, gap)
    rows = np.unique(np.linspace(0, len(images) - 1, min(PROFILE_FRAMES, len(images))).astype(int))
    try:
        if len(xyz) < LEAST_ATOMS:
            raise ValueError("too few atoms")
        profile, level = joint.fit_profile(
            images[rows], pixel_A, HIGHPASS, xyz, occupancy, R[rows], s[rows], np.ones(len(rows))
        )
    except ValueError as wrong:
        log.warning("rounds of matching: %d atoms, %s", len(xyz), wrong)
        nothing = np.zeros(len(images))
        sigma = np.radians(poses.sigma_deg)
        profile = Profile.gaussian(WIDTH_A, HIGHPASS)
        return Solution(R, s, np.ones(len(images)), nothing, sigma, xyz, occupancy, profile, step)
    K = overlap(profile, profile, pixel_A)
    filtered = filter_frames(images, pixel_A, profile)
    start = np.full(len(images), level)
    R, s, amplitude, gain, sigma = polish(filtered, xyz, occupancy, K, R, s, start, iterations=0)
    return Solution(R, s, amplitude, gain, sigma, xyz, occupancy, profile, step)


def _history(solution, coupled):
    """One dict a round, in the columns of `perrin.rounds.refine`; gains and jumps are those of the end."""
    table = coupled.rounds
    height = coupled.atoms.extra["height"]
    relative = height / np.median(height) if len(height) else np.zeros(0)
    count = table["n_atoms"]
    end = {
        "gain": float(solution.gain.mean()),
        "occupancy_sd": float(relative.std()) if len(relative) else np.nan,
        "occupancy_min": float(relative.min()) if len(relative) else np.nan,
        "stretches_left": len(bad_stretches(solution.rotation, solution.step_deg)),
        "step_deg": solution.step_deg,
    }
    unknown = dict.fromkeys(end, np.nan) | {"stretches_left": 0}
    rows = []
    for i in range(len(count)):
        rows.append(
            {
                "n_atoms": count[i],
                "added": max(count[i] - count[i - 1], 0) if i else 0,
                "removed": max(count[i - 1] - count[i], 0) if i else 0,
                "moved_A": float(np.nan_to_num(table["rmsd_A"][i], nan=MATCH_A)),
                "frames_relabelled": 0.0,
                "frames_mended": 0,
                "stretches_mended": 0,
                **{name: table[name][i] for name in ROUND_NAMES if name not in ("round", "n_atoms")},
                **(end if i == len(count) - 1 else unknown),
            }
        )
    return rows


def average_by_matching(data, stack, metal, diameter_A, rounds, seed=None, start_A=None, **options):
    """Published rounds on a whole trajectory, from a lattice ball, or from given atoms.

    data : Frames; stack : frames to match (denoised or clean), in the same order; metal : Element
    seed : unused, nothing here is random; start_A : (n, 3) atoms to start from, or None
    returns Solution, facts (a_A, radius_A, rounds, ...), verdict, why
    """
    start = None if start_A is None else plain_atoms(start_A, metal.symbol)
    result = coupled_rounds(
        data.images, start, None, metal.symbol, data.pixel_A, images_of(stack, data), diameter_A=diameter_A,
        rounds=rounds, **options,
    )  # fmt: skip
    if len(result.atoms) < LEAST_ATOMS:
        raise InputError(
            f"the rounds of matching ended with {len(result.atoms)} atoms, fewer than {LEAST_ATOMS}; accept more "
            "frames, or use method continuity"
        )
    solution = solution_of(data.images, data.pixel_A, result, data.gap)
    history = _history(solution, result)
    radius = (3 * len(result.atoms) / (4 * np.pi)) ** (1 / 3)
    a = mean_lattice_constant(result.atoms.xyz_A, metal.symbol)
    facts = {
        "method": "matching",
        "system": metal.system,
        "a_A": a,
        "radius_A": float(radius * crystal.volume_per_atom(metal.system, a) ** (1 / 3)),
        "nats_per_frame": float(solution.gain.mean()),
        "rounds": history,
    }
    return solution, facts, *_verdict(solution, history)


def window_by_matching(data, stack, start, facts, element, n_rounds, seed=None, **options):
    """Published rounds on one window, from the poses of the whole trajectory, in its body frame.

    data : Frames; stack : frames to match; start : Poses, numbered as the movie's frames; facts : with a_A
    returns Solution, history (one dict a round)
    """
    place = {int(number): i for i, number in enumerate(start.frame)}
    missing = [int(number) for number in data.number if int(number) not in place]
    if missing:
        raise InputError(f"the average has no pose for frame {missing[0]} of the window; rerun average3d")
    poses = start.take(np.array([place[int(number)] for number in data.number]))
    extent = 2 * float(facts["radius_A"]) * 1.3
    result = coupled_rounds(
        data.images, None, poses, element, data.pixel_A, images_of(stack, data), facts["a_A"], extent, n_rounds,
        centre=False, **options,
    )  # fmt: skip
    solution = solution_of(data.images, data.pixel_A, result, data.gap)
    return solution, _history(solution, result)


def _verdict(solution, history):
    """Frames matched one by one tell of failure by their path: a real particle turns, it does not jump."""
    turned = np.degrees(angles_between(solution.rotation[1:], solution.rotation[:-1]))
    jumps = float(np.mean(turned > JUMP_DEG))
    count = history[-1]["n_atoms"]
    words = (
        f"{count} atoms after {len(history)} rounds, {100 * jumps:.0f} % of the frames jump in orientation"
    )
    if jumps > 0.3:
        return "failed", f"{words}: they are matched to different equivalents of the lattice"
    return ("doubtful" if jumps > 0.05 else "good"), words
