"""Poses of all frames and the map of the whole trajectory: the lattice locked, its branches mended, nothing given.

What comes out is one path on one branch through all that the particle did, and the sites that were ever occupied.
Windows of time are found on it, and each window starts from it.
"""

import logging
from dataclasses import replace

import numpy as np

from perrin.atoms.depth import LEAST_COEFFICIENT
from perrin.atoms.sites import PRESENT
from perrin.files.accepted import images_of, read_accepted
from perrin.files.atomic import read_json, write_json
from perrin.files.elements import element as element_data
from perrin.files.errors import InputError
from perrin.files.models import write_atoms
from perrin.files.records import Atoms
from perrin.files.tables import write_table
from perrin.imaging.lattice import fitted_constant, volume_per_atom
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import across
from perrin.maps.correlation import frame_amplitudes, frame_correlations
from perrin.rounds.coupled import average_by_matching
from perrin.rounds.given import average_from_model, present, read_start
from perrin.rounds.grow import grow
from perrin.rounds.lock import WIDTH_A, lock_lattice
from perrin.rounds.refine import HIGHPASS, Solution, hand_of, mirrored
from perrin.rounds.reunite import best_stretch, frames_off, regrown, reunited, with_atoms_beyond
from perrin.rounds.verdict import LEAST_ATOMS, OCCUPANCY_SD
from perrin.rounds.volume import (
    coverage_of,
    maps_of,
    poses_of,
    profile_facts,
    support_radius,
    write_volume,
)

log = logging.getLogger("perrin")

METHODS = ("continuity", "matching")
CORRELATION_COLUMNS = {
    "frame": ("frame", "frame of the movie"),
    "time_s": ("s", "time since the movie's first frame"),
    "correlation": (
        "",
        "normalised correlation with the reprojection of the map, 3-1 angstrom, as published",
    ),
    "amplitude": ("", "factor with which the frame shows the reprojection: corrected for direction"),
    "amplitude_sigma": ("", "its standard error"),
    "gain": ("", "log-likelihood of the frame above that of an empty one, nats"),
}
FAINT = 0.1  # mean occupancy below which a site is not listed
LEAST_NATS = 12.0  # a frame: an empty field gives 1.5, the weakest locked particles 40
GOOD_STRETCHES, FAILED_STRETCHES = 0.1, 0.5
REGROWN = 3  # times at most that all frames start anew: each time the best stretch is better


def average3d(
    *, clean, denoised, frames, tracks, particle_json, poses, poses_csv, map, half1, half2, correlation, coverage,
    sites, lattice, element, frame_rate_hz, seed, method, match_frames, continuity_frames, rounds,
    iterations, window_frames, half_mode, reconstruction, ridge, polarity, hand, start_model, views,
):  # fmt: skip
    """Find the pose of every accepted frame and reconstruct the time-averaged map.

    clean, denoised : mrcs; frames, tracks : csv; particle_json : diameter and extent of the particle
    poses, poses_csv, map, half1, half2, correlation, coverage, sites, lattice : outputs, see docs/outputs.md
    element : chemical symbol; frame_rate_hz; seed : unused by continuity, which has nothing random in it
    method : "continuity", a lattice path through time whose branches a local model mends; "matching", each frame
        by itself against a map from a lattice ball, as published (`perrin.rounds.coupled`)
    match_frames, rounds, iterations : of matching
    continuity_frames : "clean" or "denoised", what continuity takes poses and sites from; maps and hand are of clean
        frames in any case
    window_frames : frames of the stretch from which continuity starts
    half_mode, reconstruction, ridge : of the maps, see `perrin.maps`
    polarity : "bright" or "dark"; hand : "depth", the mirror image is taken where the atoms' depth through focus
        speaks for it; "as_found", it is not asked
    start_model : coordinates or a map to start from (`perrin.rounds.given`); None: the lattice
    views : of a start_model, "continuous" or "unrelated": whether frames follow each other in time
    """
    metal = element_data(element)
    particle = read_json(particle_json)
    data = read_accepted(clean, frames, tracks)
    model = None
    if start_model is not None:
        model = read_start(start_model, element, data.box_size_px, data.pixel_A)
    elif method == "continuity" and views == "unrelated":
        raise InputError(
            "average3d.views is unrelated, and the lattice alone needs frames that follow each other; give the column "
            "start_model in the sample sheet, or set views to continuous, or method to matching"
        )
    if method == "matching":
        stack = denoised if match_frames == "denoised" else clean
        solution, facts, verdict, why = average_by_matching(
            data, stack, metal, particle["diameter_A"], rounds, seed, iterations=iterations, half_mode=half_mode,
            reconstruction=reconstruction, ridge=ridge, start_A=model,
        )  # fmt: skip
    else:
        given = data
        if continuity_frames == "denoised":
            given = replace(data, images=images_of(denoised, data))
        if model is None:
            solution, facts, verdict, why = average_by_continuity(given, metal, particle, window_frames)
        else:
            solution, facts, verdict, why = average_from_model(given, metal, model, views)
    if verdict != "failed" and (hand == "depth" or facts["method"] == "continuity"):
        if facts["method"] == "start_model":  # refined already, and of no lattice
            few, best = data, present(solution)
        elif facts["method"] == "continuity":
            few, best, solution, facts = beyond_the_lattice(data, solution, facts)
        else:  # as published: poses and atoms are left alone
            few, best = best_stretch(data, solution, facts["a_A"], metal.system)
        if hand == "depth":
            facts["hand"] = hand_of_stretches(data, solution, few, best, facts["a_A"], metal, polarity)
        if facts.get("hand", {}).get("verdict") == "other":
            solution = mirrored(solution)
            facts["offset_A"] = [-v for v in facts.get("offset_A", [])]
    found = poses_of(solution, data.number)
    radius = support_radius(solution.xyz_A, facts["radius_A"], data.box_size_px, data.pixel_A)
    log.info("maps of %d frames within %.1f A", len(data), radius)
    maps = maps_of(data, found, radius, reconstruction, half_mode, ridge)
    write_volume(data, found, maps, poses, poses_csv, map, (half1, half2))
    level, sigma = frame_amplitudes(data.images, maps[0], found, mask_radius_A=radius)
    table = {
        "frame": data.number,
        "time_s": data.number / frame_rate_hz,
        "correlation": frame_correlations(data.images, maps[0], found, mask_radius_A=radius),
        "amplitude": level,
        "amplitude_sigma": sigma,
        "gain": solution.gain,
    }
    write_table(correlation, table, CORRELATION_COLUMNS)
    write_json(coverage, coverage_of(found, 2 * facts["radius_A"], metal.system, frame_rate_hz))
    keep = solution.occupancy > FAINT
    write_atoms(sites, _as_atoms(solution, keep, element), data.box_size_px, data.pixel_A)
    facts |= {
        "element": element,
        "profile": profile_facts(solution.profile),
        "step_deg": float(solution.step_deg),
        "n_sites": int(keep.sum()),
        "frames": len(data),
        "box_px": data.box_size_px,
        "pixel_A": data.pixel_A,
        "verdict": verdict,
        "why": why,
    }
    write_json(lattice, facts)


def average_by_continuity(data, metal, particle, window_frames=120):
    """The lattice path of a trajectory with its branches mended.

    data : Frames; metal : Element; particle : dict with diameter_A and extent_A
    returns Solution, facts (dict), verdict, why
    """
    diameter = particle["diameter_A"] or 20.0
    extent = (particle["extent_A"] or diameter) / 2
    lock = lock_lattice(
        data.images,
        data.pixel_A,
        data.box_px,
        data.centre_A,
        metal.system,
        metal.lattice_A,
        diameter / 2,
        data.gap,
    )
    facts = {
        "method": "continuity",
        "system": lock.system,
        "a_A": float(lock.a_A),
        "radius_A": float(lock.radius_A),
        "amplitudes": [float(v) for v in lock.amplitudes],
        "alpha": float(lock.alpha),
        "offset_A": [float(v) for v in lock.offset_A],
        "nats_per_frame": float(lock.per_frame),
        "scan": lock.scan,
    }
    if not lock.per_frame > LEAST_NATS or lock.amplitudes[0] * lock.alpha <= 0:
        words = (
            f"the lattice of {metal.symbol} explains the frames by {lock.per_frame:.1f} nats each, less than "
            f"{LEAST_NATS:g}: no particle, another element or not a single crystal"
        )
        return _nothing(lock, data), facts, "failed", words
    solution, table, begins = grow(
        data.images, data.pixel_A, lock, extent, data.box_A, data.gap, window=window_frames
    )
    facts["rounds"] = [
        {"first_frame": int(data.number[row]), "n_sites": int(n)}
        for row, n in zip(begins, (table > PRESENT).sum(1))
    ]
    off = frames_off(data, solution, lock.system, refined=False)
    if off.mean() >= GOOD_STRETCHES:
        solution, off = reunited(data, solution, off, lock.system, lock.a_A)
    facts["regrown"] = False
    for _ in range(REGROWN):
        if off.mean() < GOOD_STRETCHES:
            break
        before = off
        solution, off = regrown(data, solution, off, lock.system, lock.a_A)
        if off is before:
            break
        facts["regrown"] = True
    share = float(off.mean())
    volume = 4 / 3 * np.pi * lock.radius_A**3 / volume_per_atom(lock.system, lock.a_A)
    words = (
        f"{lock.per_frame:.0f} nats a frame on a lattice of {lock.a_A:.3f} A in a ball of {lock.radius_A:.1f} A "
        f"({volume:.0f} atoms), {100 * share:.1f} % of the frames off the main branch of orientations"
    )
    verdict = "good" if share < GOOD_STRETCHES else "doubtful" if share < FAILED_STRETCHES else "failed"
    return solution, facts, verdict, words


def beyond_the_lattice(data, solution, facts):
    """What the best stretch adds to a lattice path: atoms on none of its sites, and the lattice as its atoms have it.

    facts : of `average_by_continuity`
    returns Frames and Solution of that stretch (or None), the solution, the facts
    """
    few, best = best_stretch(data, solution, facts["a_A"], facts["system"])
    solution, displaced = with_atoms_beyond(data, solution, best, facts["system"], facts["a_A"])
    facts = (
        facts | {"regrown": facts["regrown"] or displaced} | lattice_of_atoms(best, facts["system"], facts)
    )
    return few, best, solution, facts


def lattice_of_atoms(best, system, facts):
    """Lattice constant and radius by the atoms of a stretch, and those that the scan of the lattice had found.

    Distances along the line of sight say little and count little. Empty where the stretch has no sure atoms; best :
    Solution or None

    The scan's reflections are those of a perfect ball, broadened by its size; as scattering falls with angle, their
    maxima lie a little inside of the reflections, and the constant comes out too large by some 0.01 A.
    """
    if best is None or not best.occupancy.std() < OCCUPANCY_SD[0]:
        return {}
    xyz_A = best.xyz_A
    a_A, on = fitted_constant(xyz_A, system, facts["a_A"], across(best.rotation))
    if on < LEAST_ATOMS:
        return {}
    radius_A = (3 * len(xyz_A) * volume_per_atom(system, a_A) / (4 * np.pi)) ** (1 / 3)
    log.info("lattice %.4f A by %d atoms (scan: %.4f), ball %.2f A", a_A, on, facts["a_A"], radius_A)
    return {
        "a_A": float(a_A), "radius_A": float(radius_A),
        "scan_a_A": facts["a_A"], "scan_radius_A": facts["radius_A"],
    }  # fmt: skip


def hand_of_stretches(data, solution, few, best, a_A, metal, polarity):
    """The hand of the best stretch, and of the next best one together with it where one alone is not sure of it.

    few, best : Frames and Solution of `perrin.rounds.reunite.best_stretch`, or None
    returns dict of `perrin.atoms.depth.hand`; "undetermined" where there are no atoms
    """
    if best is None:
        return {"verdict": "undetermined", "why": "too few atoms in the best stretch"}
    parts, asked = [(few.images, best)], [few.number]
    found = hand_of(parts, data.pixel_A, metal.symbol, polarity)
    free = ~np.isin(data.number, few.number)
    if found["verdict"] == "undetermined" and abs(found["coefficient"]) > LEAST_COEFFICIENT:
        few, best = best_stretch(data, solution, a_A, metal.system, free)
        if best is not None:
            found = hand_of([*parts, (few.images, best)], data.pixel_A, metal.symbol, polarity)
            asked.append(few.number)
    found["stretches"] = [[int(one[0]), int(one[-1])] for one in asked]
    log.info("hand: %s", found)
    return found


def _nothing(lock, data):
    """The lattice's path without any atoms."""
    count = len(data)
    return Solution(
        lock.rotation, lock.shift_A, np.ones(count), np.zeros(count), np.full(count, np.nan), np.zeros((0, 3)),
        np.zeros(0), Profile.gaussian(WIDTH_A, HIGHPASS), lock.step_deg,
    )  # fmt: skip


def _as_atoms(solution, keep, element):
    n = int(keep.sum())
    level = solution.occupancy[keep]
    return Atoms(solution.xyz_A[keep], level, np.full((n, 3, 3), np.nan), np.clip(level, 0, 1), element)
