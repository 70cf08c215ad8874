"""One window of time: poses, maps and draft atoms, refined in rounds from the poses of the whole trajectory."""

import logging
from dataclasses import replace

import numpy as np

from perrin.atoms.sites import Sites
from perrin.files.accepted import images_of, read_accepted
from perrin.files.atomic import read_json, write_json
from perrin.files.elements import element as element_data
from perrin.files.models import read_atoms, write_atoms
from perrin.files.poses import read_poses
from perrin.files.records import Atoms, Poses
from perrin.files.tables import write_table
from perrin.imaging import lattice as crystal
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import overlap
from perrin.imaging.rotations import matrices
from perrin.maps.fsc import corrected_fsc, fsc_columns
from perrin.maps.mask import automask
from perrin.poses.polish import polish
from perrin.rounds.coupled import window_by_matching
from perrin.rounds.crossings import in_one_hand
from perrin.rounds.given import window_from_model
from perrin.rounds.refine import Solution, held_in_time, refine
from perrin.rounds.seed import GREY, occupancies
from perrin.rounds.verdict import LEAST_ATOMS, overall, solution_checks
from perrin.rounds.volume import (
    coverage_of,
    maps_of,
    poses_of,
    profile_facts,
    profile_from,
    support_radius,
    write_volume,
)

log = logging.getLogger("perrin")

TURNS = 8  # of sites and poses before the first model: two at least, and until few sites are grey

ROUND_COLUMNS = {
    "round": ("", "number of the round, from 1"),
    "n_atoms": ("", "atoms after the round"),
    "added": ("", "atoms that the round added"),
    "removed": ("", "atoms that the round took away"),
    "gain": ("", "log-likelihood a frame above that of an empty one, nats"),
    "moved_A": ("A", "largest step of an atom; of matching, root mean square distance to the round before"),
    "occupancy_sd": ("", "spread of the occupancies"),
    "occupancy_min": ("", "smallest occupancy"),
    "frames_relabelled": ("", "share of frames whose branch changed"),
    "frames_mended": ("", "frames that took over a neighbour's pose"),
    "stretches_mended": ("", "bad stretches that were tracked anew"),
    "stretches_left": ("", "bad stretches that are left"),
    "step_deg": ("deg", "root mean square rotation between frames"),
}


def window3d(
    *, clean, denoised, frames, tracks, average_poses, sites, lattice, poses, poses_csv, map, half1, half2, fsc,
    rounds, coverage, draft, profile, element, first_frame, last_frame, seed, method, match_frames,
    continuity_frames, n_rounds, iterations, half_mode, reconstruction, ridge, regularise,
):  # fmt: skip
    """Refine poses and draft atoms of one window, and reconstruct its maps.

    clean, denoised : mrcs; frames, tracks : csv; average_poses, sites, lattice : of the whole trajectory
    poses, poses_csv, map, half1, half2, fsc, rounds, coverage, draft, profile : outputs, see docs/outputs.md
    first_frame, last_frame : of the window, both included
    method : "continuity", joint rounds against frames; "matching", the published rounds
    match_frames, iterations : of matching; n_rounds : of either
    continuity_frames : "clean" or "denoised", what continuity takes poses and draft atoms from
    half_mode, reconstruction, ridge, regularise : of the maps, see `perrin.maps`
    A window that fails writes its poses and maps, no atoms, and the verdict "failed" with the reason.
    """
    facts = read_json(lattice)
    data = read_accepted(clean, frames, tracks, first_frame, last_frame)
    start = _of_frames(read_poses(average_poses), data.number)
    system = element_data(element).system
    diameter = 2 * float(facts["radius_A"])
    seen = coverage_of(start, diameter, system)
    if facts["verdict"] == "failed":
        solution, history = _unrefined(start, profile_from(facts["profile"])), []
        checks, verdict, why = [], "failed", f"the whole trajectory has no solution: {facts['why']}"
    else:
        if method == "matching":
            stack = denoised if match_frames == "denoised" else clean
            solution, history = window_by_matching(
                data, stack, start, facts, element, n_rounds, seed, iterations=iterations, half_mode=half_mode,
                reconstruction=reconstruction, ridge=ridge,
            )  # fmt: skip
        else:
            around = read_atoms(sites, data.box_size_px, data.pixel_A).xyz_A
            given = data
            if continuity_frames == "denoised":
                given = replace(data, images=images_of(denoised, data))
            solution, history = window_in_time(given, start, facts, around, system, n_rounds)
        checks = solution_checks(solution, data.pixel_A, system, seen, data.gap, data.images)
        verdict, why = overall(checks)
    found = poses_of(solution, data.number)
    radius = support_radius(solution.xyz_A, float(facts["radius_A"]), data.box_size_px, data.pixel_A)
    maps = maps_of(data, found, radius, reconstruction, half_mode, ridge, regularise)
    write_volume(data, found, maps, poses, poses_csv, map, (half1, half2), "../../graphene/clean.mrcs")
    curve, resolution = corrected_fsc(*maps[1], automask(maps[0]), seed=seed)
    write_table(fsc, curve, fsc_columns())
    table = {"round": np.arange(1, len(history) + 1)}
    table |= {name: [row[name] for row in history] for name in ROUND_COLUMNS if name != "round"}
    write_table(rounds, table, ROUND_COLUMNS)
    write_json(coverage, coverage_of(found, diameter, system))
    atoms = draft_atoms(solution, element)
    if verdict == "failed":
        atoms = atoms.take(np.zeros(0, int))
    write_atoms(draft, atoms, data.box_size_px, data.pixel_A)
    write_json(
        profile,
        profile_facts(solution.profile)
        | {
            "amplitude": float(np.median(solution.amplitude)),
            "step_deg": float(solution.step_deg),
            "nats_per_frame": float(solution.gain.mean()),
            "resolution_A": resolution,
            "box_px": data.box_size_px,
            "pixel_A": data.pixel_A,
            "first_frame": int(first_frame),
            "last_frame": int(last_frame),
            "frames": len(data),
            "n_atoms": len(atoms),
            "method": method,
            "checks": checks,
            "verdict": verdict,
            "why": why,
        },
    )


def window_in_time(data, start, facts, around_A, system, n_rounds):
    """The window from the atoms of the whole trajectory where no lattice holds them, else from its lattice's sites.

    Arguments and what is returned as of `window_by_continuity`.
    """
    if facts.get("method") == "start_model" or facts.get("regrown"):
        return window_from_model(data, start, facts, around_A, n_rounds)
    return window_by_continuity(data, start, facts, around_A, system, n_rounds)


def window_by_continuity(data, start, facts, around_A, system, n_rounds):
    """Atoms on lattice sites from the window's frames, then all refined jointly.

    data : Frames; start : Poses of these frames; facts : of lattice.json; around_A (n, 3): sites of the whole
    trajectory, which with their neighbours are the candidates
    returns Solution, history (one dict a round)
    """
    profile = profile_from(facts["profile"])
    filtered = filter_frames(data.images, data.pixel_A, profile)
    K = overlap(profile, profile, data.pixel_A)
    a_A = float(facts["a_A"])
    spacing = crystal.nearest_distance(system, a_A)
    centre = np.mean(around_A, axis=0)
    reach = np.linalg.norm(around_A - centre, axis=1).max() + 1.1 * spacing
    points = crystal.sites(system, a_A, reach, centre)
    near = np.linalg.norm(points[:, None] - around_A, axis=2).min(1) < 1.1 * spacing
    points = points[near]
    expected = 4 / 3 * np.pi * float(facts["radius_A"]) ** 3 / crystal.volume_per_atom(system, a_A)
    asked = Sites.of(points, min(expected, len(around_A)))
    R, s, a = matrices(start.quaternion), np.array(start.shift_A), np.array(start.amplitude)
    step = float(facts["step_deg"])
    options = held_in_time(step, data.box_A, data.gap)
    o = None
    for turn in range(TURNS):
        o, level, grey = occupancies(filtered, asked, R, s, a, K, o)
        a = a * level
        keep = o > 0.5
        log.info("lattice sites %d: %d occupied, grey share %.2f", turn + 1, keep.sum(), grey)
        R, s, a, gain, sigma = polish(
            filtered, points[keep], np.minimum(o[keep], 1.2), K, R, s, a, 4, **options
        )
        if turn > 0 and grey < GREY:
            break
    first = Solution(R, s, a, gain, sigma, points[keep], np.minimum(o[keep], 1.2), profile, step)
    if keep.sum() < LEAST_ATOMS:
        return first, []
    solution, history = refine(
        data.images, data.pixel_A, first, data.box_A, *crystal.branches(system, a_A), spacing, n_rounds,
        data.gap, thorough=True,
    )  # fmt: skip
    solution, later = in_one_hand(data, solution, system, a_A, n_rounds)
    return solution, history + later


def draft_atoms(solution, element):
    """Atoms of a Solution as a record, of which the errors are not known yet."""
    n = len(solution.xyz_A)
    return Atoms(solution.xyz_A, solution.occupancy, np.full((n, 3, 3), np.nan), np.ones(n), element)


def _of_frames(poses, number):
    """The poses of the given frames, in their order."""
    place = {int(frame): i for i, frame in enumerate(poses.frame)}
    return poses.take(np.array([place[int(frame)] for frame in number]))


def _unrefined(start: Poses, profile):
    """Poses as they came, without atoms."""
    n = len(start)
    return Solution(
        matrices(start.quaternion), np.array(start.shift_A), np.array(start.amplitude), np.zeros(n),
        np.radians(start.sigma_deg), np.zeros((0, 3)), np.zeros(0), profile, 1.0,
    )  # fmt: skip
