"""The atoms of one window with all that is known of each: place, covariance, occupancy, probability; and checks.

Atoms, profile and poses are brought to rest against the raw frames. The covariance is the Cramer-Rao bound with
free poses, inflated by what two halves of the frames, refined apart, differ beyond it. A verdict gathers the checks:
poses, occupancies, halves, and known truth that was put in and found again.
"""

import logging
from dataclasses import replace

import numpy as np
from scipy.special import expit

from perrin.atoms import joint
from perrin.atoms.coordination_threshold import contacts
from perrin.atoms.density import scaled_to, simulate_density
from perrin.atoms.depth import hand_shares, slope
from perrin.atoms.metals import contact_distance, nearest_distance
from perrin.atoms.proposals import empty_sites
from perrin.atoms.sites import PRESENT, point_occupancies
from perrin.files.accepted import read_accepted
from perrin.files.atomic import read_json, write_json
from perrin.files.elements import element as element_data
from perrin.files.maps import read_map, write_map
from perrin.files.models import read_atoms, write_atoms, write_cif, write_pdb, write_xyz
from perrin.files.poses import read_poses
from perrin.files.records import Atoms
from perrin.files.tables import write_table
from perrin.imaging.blobs import filter_frames
from perrin.imaging.profile import overlap
from perrin.imaging.rotations import matrices
from perrin.maps.halves import half_sets
from perrin.poses.polish import polish
from perrin.rounds.injected import injected_truth, mutual_pairs, rigid_fit
from perrin.rounds.leftover import unexplained_share
from perrin.rounds.refine import (
    HIGHPASS,
    PROFILE_FRAMES,
    Solution,
    free_step,
    hand_of,
    held_in_time,
    refine,
    rows_of,
)
from perrin.rounds.scatter import narrow, toward_lattice
from perrin.rounds.unstretch import stretch_covariance, unstretched
from perrin.rounds.verdict import check, overall, solution_checks, unexplained_check
from perrin.rounds.volume import profile_facts, profile_from

log = logging.getLogger("perrin")

PROFILE_COLUMNS = {
    "r_A": ("A", "distance from the atom's centre"),
    "value": ("", "height of an atom's image, high-passed as in the refinement, 1 at the centre"),
    "unfiltered": ("", "the same without the high-pass, on the same scale"),
}
STILL_A = 0.004  # root mean square step of the atoms at which they rest
OCCUPANCY_FLOOR = 0.08  # systematic spread of single atoms' apparent occupancies beyond their errors
HALVES_A = 0.30, 0.80  # root mean square difference of the halves: good, failed
DISPLACED_A = 0.2  # of every candidate of the injected movie along each axis
HANDS = 0.06, 0.40  # share of frames in the other hand
UNEXPLAINED = 0.06, 0.40  # complete models leave at most 0.02, half of a twin 0.25
LAYER = 0.05, 0.1  # half a layer of ten, a layer: atoms of one too few are stretched over the place of all
INJECTED = 0.98, 0.80  # recall and precision of truth that was put in: good, failed


def model(
    *, clean, frames, tracks, window_poses, draft, profile, coverage, window_map, atoms, cif, pdb, xyz, density,
    profile_csv, model_json, element, first_frame, last_frame, seed, n_rounds, injected, injected_frames, polarity,
):  # fmt: skip
    """Refine a window's draft atoms, give each its errors, and judge the whole.

    clean : mrcs; frames, tracks, window_poses, draft : csv; profile, coverage : json; window_map : mrc
    atoms, cif, pdb, xyz, density, profile_csv, model_json : outputs, see docs/outputs.md
    n_rounds : of joint refinement, at most; injected : whether truth is put in and found again, from at most
    injected_frames frames; polarity : "bright" or "dark"
    A window that failed before gives a model without atoms, and its reason.
    """
    facts, seen = read_json(profile), read_json(coverage)
    data = read_accepted(clean, frames, tracks, first_frame, last_frame)
    box_px, pixel_A = data.box_size_px, data.pixel_A
    before = read_atoms(draft, box_px, pixel_A)
    poses = read_poses(window_poses)
    shape = profile_from(facts)
    report = {
        "window": f"f{first_frame:06d}-{last_frame:06d}",
        "first_frame": int(first_frame),
        "last_frame": int(last_frame),
        "frames": len(data),
        "element": element,
        "box_px": box_px,
        "pixel_A": pixel_A,
        "resolution_A": facts.get("resolution_A"),
        "hand": {"verdict": "undetermined"},
    }
    if facts["verdict"] == "failed":
        found = Atoms(
            np.zeros((0, 3)), np.zeros(0), np.zeros((0, 3, 3)), np.zeros(0), element, {"cn": np.zeros(0, int)}
        )
        report |= {"n_atoms": 0, "verdict": "failed", "why": facts["why"], "checks": facts["checks"]}
    else:
        solution = _at_rest(data, before, poses, shape, float(facts["step_deg"]), n_rounds)
        solution, strain = unstretched(data, solution, element_data(element))
        solution, found, numbers, checks = _judged(data, solution, element, strain)
        report["hand"] = hand_of([(data.images, solution)], data.pixel_A, element, polarity)
        system = element_data(element).system
        checks = solution_checks(solution, pixel_A, system, seen, data.gap, data.images) + checks
        if injected:
            again = _finder(data, solution, element_data(element), seed)
            back = injected_truth(solution, box_px, pixel_A, again, seed, injected_frames)
            log.info("truth put in: %s", back)
            report["injected"] = back
            for name in ("recall", "precision"):
                meaning = f"{name} of known atoms filmed and found again"
                checks.append(check(f"injected_{name}", back[name], *INJECTED, meaning, above=True))
        shape = solution.profile
        verdict, why = overall(checks)
        report |= numbers | {"n_atoms": len(found), "verdict": verdict, "why": why, "checks": checks}
        if verdict == "failed":
            found = found.take(np.zeros(0, int))
            report["n_atoms"] = 0
    report["profile"] = profile_facts(shape)
    write_atoms(atoms, found, box_px, pixel_A)
    write_cif(cif, found, box_px, pixel_A)
    write_pdb(pdb, found, box_px, pixel_A)
    write_xyz(xyz, found, box_px, pixel_A)
    measured = read_map(window_map)
    simulated = simulate_density(found.xyz_A, element, box_px, pixel_A, occupancy=found.occupancy)
    write_map(density, scaled_to(simulated, measured) if len(found) else simulated)
    r = np.arange(0, 4.001, 0.05)
    scale = 1 / float(shape.value(0.0))
    flat = sum(
        w * np.exp(-np.square(r) / (2 * s**2)) / (2 * np.pi * s**2)
        for w, s in zip(shape.weight, shape.sigma_A)
    )
    write_table(
        profile_csv, {"r_A": r, "value": shape.value(r) * scale, "unfiltered": flat * scale}, PROFILE_COLUMNS
    )
    write_json(model_json, report)


def _at_rest(data, before, poses, profile, step_deg, n_rounds):
    """Atoms, profile and poses refined until the atoms rest."""
    count = len(data)
    start = Solution(
        matrices(poses.quaternion), np.array(poses.shift_A), np.array(poses.amplitude), np.zeros(count),
        np.radians(poses.sigma_deg), before.xyz_A, before.occupancy, profile, step_deg,
    )  # fmt: skip
    rows = np.unique(np.linspace(0, count - 1, min(PROFILE_FRAMES, count)).astype(int))
    R, s, a, xyz, o = start.rotation, start.shift_A, start.amplitude, start.xyz_A, start.occupancy
    options = held_in_time(step_deg, data.box_A, data.gap)
    for turn in range(n_rounds):
        profile, factor = joint.fit_profile(
            data.images[rows], data.pixel_A, HIGHPASS, xyz, o, R[rows], s[rows], a[rows]
        )
        filtered = filter_frames(data.images, data.pixel_A, profile)
        K = overlap(profile, profile, data.pixel_A)
        R, s, a, gain, sigma = polish(filtered, xyz, o, K, R, s, a * factor, 3, **options)
        new, o, _, R, s, a = free_step(filtered, xyz, o, K, R, s, a)
        level = np.median(o)
        o, a = o / level, a * level
        moved = float(np.sqrt(np.square(new - xyz).sum(1).mean()))
        xyz = new
        log.info("round %d: %.2f nats a frame, atoms moved by %.4f A rms", turn + 1, gain.mean(), moved)
        if moved < STILL_A:
            break
    R, s, a, gain, sigma = polish(filtered, xyz, o, K, R, s, a, 3, **options)
    return Solution(R, s, a, gain, sigma, xyz, o, profile, step_deg)


def _judged(data, solution, element, strain):
    """The solution held to its lattice where views are narrow; its atoms with covariance, probability, coordination;
    numbers and checks.

    strain : of `perrin.rounds.unstretch.unstretched`
    """
    filtered = filter_frames(data.images, data.pixel_A, solution.profile)
    K = overlap(solution.profile, solution.profile, data.pixel_A)
    free, known, sigma_o = joint.covariances(
        solution.xyz_A, solution.occupancy, K, solution.rotation, solution.shift_A, solution.amplitude
    )
    apart = [_half(data, solution, filtered, K, rows) for rows in half_sets(data.number, "blocks")]
    pairs = mutual_pairs(*apart, 1.0)
    moved = rigid_fit(apart[1][pairs[:, 1]], apart[0][pairs[:, 0]])
    difference = moved - apart[0][pairs[:, 0]]
    # each half has half of the frames: its covariance is twice that of all, the difference has four times it
    expected = 4 * np.trace(free, axis1=1, axis2=2).mean()
    rmsd = float(np.sqrt(np.square(difference).sum(1).mean()))
    inflation = float(max(1.0, np.sqrt(np.square(difference).sum(1).mean() / expected)))
    share = len(pairs) / max(map(len, apart))
    solution, covariance, scatter = _held(
        data, solution, filtered, K, free * inflation**2, strain, element_data(element)
    )
    covariance = covariance + stretch_covariance(solution.xyz_A, strain)
    variance = sigma_o**2 + OCCUPANCY_FLOOR**2
    cn = contacts(solution.xyz_A, contact_distance(element))
    found = Atoms(
        solution.xyz_A, solution.occupancy, covariance,
        expit((2 * solution.occupancy - 1) / (2 * variance)), element, {"cn": cn},
    )  # fmt: skip
    numbers = {
        "sigma_mean_A": float(found.sigma_A.mean()),
        "bound_A": _rms(free),
        "bound_known_A": _rms(known),
        "inflation": inflation,
        "strain_least_seen": strain,
        "scatter_least_seen": scatter,
        "occupancy_sigma": float(sigma_o.mean()),
        "nats_per_frame": float(solution.gain.mean()),
        "amplitude": float(np.median(solution.amplitude)),
        "pose_sigma_deg": float(np.degrees(np.median(solution.sigma))),
        "halves": {"matched_share": share, "rmsd_A": rmsd, "predicted_A": float(np.sqrt(expected))},
    }
    log.info(
        "%d atoms, bound %.4f A, halves differ by %.3f A (%.3f expected)",
        len(found),
        _rms(free),
        rmsd,
        expected**0.5,
    )
    poses = solution.rotation, solution.shift_A, solution.amplitude
    _, mixed = hand_shares(*slope(filtered, solution.xyz_A, K, *poses))
    left = unexplained_share(data.images, data.pixel_A, solution)
    numbers["unexplained_share"] = left if np.isfinite(left) else None
    checks = [check("halves_rmsd", rmsd, *HALVES_A, "difference of the atoms of two halves in angstrom")]
    checks.append(check("hands", mixed, *HANDS, "share of frames whose depth speaks for the other hand"))
    if strain is not None:
        words = "strain along the least seen direction, where a layer of atoms may be missing"
        checks.append(check("strain_least_seen", abs(strain["strain"]), *LAYER, words))
    checks.append(unexplained_check(left, *UNEXPLAINED))
    return solution, found, numbers, checks


def _held(data, solution, filtered, K, covariance_A2, strain, metal):
    """A solution, poses included, whose atoms are held to their lattice along a direction hardly seen, and the rest of
    what `toward_lattice` returns."""
    xyz, covariance, scatter = toward_lattice(solution.xyz_A, covariance_A2, strain, metal)
    if scatter is None:
        return solution, covariance, None
    R, s, a, gain, sigma = polish(
        filtered, xyz, solution.occupancy, K, solution.rotation, solution.shift_A, solution.amplitude, 4,
        **held_in_time(solution.step_deg, data.box_A, data.gap),
    )  # fmt: skip
    held = replace(solution, rotation=R, shift_A=s, amplitude=a, gain=gain, sigma=sigma, xyz_A=xyz)
    return held, covariance, scatter


def _half(data, solution, filtered, K, rows):
    """Places of the atoms refined from half of the frames."""
    few = replace(filtered, coefficient=filtered.coefficient[rows])
    xyz, o = solution.xyz_A, solution.occupancy
    R, s, a = solution.rotation[rows], solution.shift_A[rows], solution.amplitude[rows]
    for _ in range(2):
        xyz, o, _, R, s, a = free_step(few, xyz, o, K, R, s, a)
        R, s, a, _, _ = polish(few, xyz, o, K, R, s, a, 2)
    return xyz


def _finder(data, solution, metal, seed):
    """The function that finds the atoms of the injected movie.

    Candidates are the atoms and all empty sites around them, every one displaced at random: which of them are there,
    and where exactly, must come from the frames and from uncertain poses. What is found is held as the window's atoms
    are.
    """
    rng = np.random.default_rng([seed, 8])
    nearest_A = nearest_distance(metal.symbol)
    candidates = np.concatenate([solution.xyz_A, empty_sites(solution.xyz_A, nearest_A)])
    candidates = candidates + rng.normal(0, DISPLACED_A, candidates.shape)

    def again(images, rows, R, s, a):
        few = replace(data.take(rows), images=images)
        filtered = filter_frames(images, data.pixel_A, solution.profile)
        K = overlap(solution.profile, solution.profile, data.pixel_A)
        o, _ = point_occupancies(filtered, candidates, R, s, a, K, there=len(solution.xyz_A))
        there = o > PRESENT
        start = replace(
            rows_of(solution, rows),
            rotation=R,
            shift_A=s,
            amplitude=a,
            xyz_A=candidates[there],
            occupancy=np.ones(there.sum()),
        )
        found, _ = refine(
            images, data.pixel_A, start, few.box_A, nearest_A=nearest_A, rounds=4, gap=few.gap
        )  # fmt: skip
        found, strain = unstretched(few, found, metal)
        if not narrow(strain):
            return found
        filtered = filter_frames(images, data.pixel_A, found.profile)
        K = overlap(found.profile, found.profile, data.pixel_A)
        poses = found.rotation, found.shift_A, found.amplitude
        free, _, _ = joint.covariances(found.xyz_A, found.occupancy, K, *poses)
        return _held(few, found, filtered, K, free, strain, metal)[0]

    return again


def _rms(covariance):
    """Root of the mean over atoms of the variance along one axis times 3: the expected RMSD, angstrom."""
    return float(np.sqrt(np.trace(covariance, axis1=1, axis2=2).mean()))
