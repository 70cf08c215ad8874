"""Poses and atoms from a model that the user gives: for particles that are not one crystal, or views without time.

Every frame is searched by itself over all orientations against the model (`perrin.poses.candidates`). Where frames
follow each other in time, the best path through their candidates is taken, and what is bad on it is tracked anew; the
atoms are then refined jointly with the poses, as after the lattice path. Profile and amplitude are learned from some
frames first.
"""

import logging
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.detect import detect_atoms
from perrin.atoms.sites import PRESENT, nonnegative_solution, point_equations, point_occupancies
from perrin.files.coordinates import read_coordinates
from perrin.files.errors import InputError
from perrin.files.maps import read_map
from perrin.imaging.blobs import filter_frames
from perrin.imaging.lattice import nearest_distance, volume_per_atom
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import matrices
from perrin.imaging.symmetry import own_motions
from perrin.rounds.coupled import mean_lattice_constant
from perrin.rounds.follow import angles_to, best_alone, candidates, followed, learned
from perrin.rounds.leftover import left_in, unexplained_share
from perrin.rounds.lock import WIDTH_A
from perrin.rounds.refine import HIGHPASS, UNRELATED_DEG, Solution, refine
from perrin.rounds.verdict import (
    JUMPS,
    LEAST_ATOMS,
    check,
    explained,
    off_main_branch,
    overall,
    unexplained_check,
)
from perrin.rounds.volume import profile_from

log = logging.getLogger("perrin")

AGREE_DEG = 5.0
ROUNDS = 3
APART_A = 1.2  # between a given atom and all refined ones: it was not there most of the time
GAIN = 40.0, 25.0  # the best of all poses explains some 17 nats of an empty frame
UNEXPLAINED = 0.08, 0.4
ALONE = 0.35, 0.1
MAPS = (".mrc", ".map", ".ccp4")


def read_start(path, element, box_px, pixel_A):
    """(n, 3) atoms of the model or map that a user gives, their centroid at the origin, angstrom.

    path : coordinates that `perrin.files.coordinates` reads, or a map (.mrc, .map, .ccp4) that shows single atoms
    InputError, one sentence: no such file, not readable, another element, too few atoms, larger than the box
    """
    if str(path).lower().endswith(MAPS):
        xyz = detect_atoms(read_map(path), element).xyz_A
    else:
        models = read_coordinates(path, element)
        if len(models) > 1:
            log.info("%s: the first of %d models is taken", path, len(models))
        xyz = models[0].xyz_A
    if len(xyz) < LEAST_ATOMS:
        raise InputError(
            f"{path}: start_model shows {len(xyz)} atoms of {element}, at least {LEAST_ATOMS} are needed; give "
            "coordinates, or a map that shows single atoms"
        )
    xyz = xyz - xyz.mean(0)
    reach, room = float(np.linalg.norm(xyz, axis=1).max()), box_px / 2 * pixel_A
    if reach > room:
        raise InputError(
            f"{path}: start_model reaches {reach:.1f} A from its centre, the particle's box ends at {room:.1f} A; "
            "give positions in angstrom, the right particle, or a larger box_px in the sample sheet"
        )
    return xyz


def average_from_model(data, metal, xyz_A, views="continuous"):
    """Poses of all frames against a given model, and its atoms refined.

    data : Frames; metal : Element; xyz_A (n, 3) : the model, its centroid at the origin
    views : "continuous", frames follow each other; "unrelated", every frame is by itself
    returns Solution, facts (dict), verdict, why
    """
    in_time = views == "continuous"
    own = own_motions(xyz_A)
    log.info(
        "the model turns onto itself in %d ways, its inverted image in %d", own.proper, len(own) - own.proper
    )
    a_A = mean_lattice_constant(xyz_A, metal.symbol)
    facts = {
        "method": "start_model",
        "views": views,
        "system": metal.system,
        "a_A": a_A,
        "radius_A": float((3 * len(xyz_A) * volume_per_atom(metal.system, a_A) / (4 * np.pi)) ** (1 / 3)),
        "own_rotations": own.proper,
    }
    try:
        profile, amplitude = learned(data, xyz_A, own)
        found = candidates(data, xyz_A, profile, amplitude, own)
        alone = best_alone(found)
        if in_time:
            start = followed(data, xyz_A, profile, found, own)
        else:
            start = _solution(xyz_A, profile, alone, UNRELATED_DEG)
        solution, history = refine(
            data.images, data.pixel_A, start, data.box_A, own.rotation, np.zeros((1, 3)),
            nearest_distance(metal.system, a_A), ROUNDS, data.gap,
        )  # fmt: skip
    except ValueError as error:  # an atom's profile that is not positive
        log.info("%s", error)
        nothing = _solution(xyz_A, Profile.gaussian(WIDTH_A, HIGHPASS), _nowhere(len(data)), UNRELATED_DEG)
        return nothing, facts, "failed", "the frames do not show atoms where the given model has its own"
    facts["rounds"] = history
    checks = _checks(data, solution, angles_to(solution.rotation, alone[0], own), own, in_time)
    facts["checks"] = checks
    facts["nats_per_frame"] = float(solution.gain.mean())
    return with_given_atoms(data, solution, xyz_A), facts, *overall(checks)


def _checks(data, solution, away, own, in_time):
    """Whether the frames are of this model: what it leaves of their power, and poses found twice.

    away (f,) : radians from the refined pose to the one that the frame by itself had been given
    own : Motions of the model
    """
    # four numbers an atom were fitted to the same frames, half a nat each
    gain = solution.gain.mean() - 2 * len(solution.xyz_A) / len(data)
    checks = [
        check(
            "gain",
            gain,
            *GAIN,
            "nats a frame above an empty frame and what fitted atoms gain of noise",
            above=True,
        ),
        check("atoms", len(solution.xyz_A), LEAST_ATOMS, LEAST_ATOMS, "number of atoms", above=True),
    ]
    left = unexplained_share(data.images, data.pixel_A, solution)
    checks.append(unexplained_check(left, *UNEXPLAINED))
    if in_time:
        agree = np.mean(away < np.radians(AGREE_DEG))
        words = f"share of frames that by themselves are within {AGREE_DEG:g} degrees of their path"
        checks.append(check("alone", agree, *ALONE, words, above=True))
        off = off_main_branch(
            solution.rotation,
            solution.step_deg,
            data.gap,
            explained(solution, data.pixel_A),
            mistaken=lambda: own.rotation,
            left=left_in(data.images, data.pixel_A, solution),
        )
        checks.append(
            check("jumps", off.mean(), *JUMPS, "share of frames off the main branch of orientations")
        )
    return checks


def present(solution):
    """The solution with the atoms alone that are there most of the time: a model for fine questions."""
    there = solution.occupancy > PRESENT
    return replace(solution, xyz_A=solution.xyz_A[there], occupancy=solution.occupancy[there])


def with_given_atoms(data, solution, xyz_A):
    """The refined atoms and those of the given model that were not seen always: each with its mean occupancy."""
    apart, _ = cKDTree(solution.xyz_A).query(xyz_A)
    every = np.concatenate([solution.xyz_A, xyz_A[apart > APART_A]])
    K = overlap(solution.profile, solution.profile, data.pixel_A)
    filtered = filter_frames(data.images, data.pixel_A, solution.profile)
    poses = solution.rotation, solution.shift_A, solution.amplitude
    o = nonnegative_solution(*point_equations(filtered, every, *poses, K))
    return replace(solution, xyz_A=every, occupancy=o / np.median(o[: len(solution.xyz_A)]))


def window_from_model(data, start, facts, around_A, n_rounds):
    """Atoms of one window, from the poses and the atoms of the whole trajectory.

    data : Frames; start : Poses of these frames; facts : of lattice.json; around_A (n, 3): atoms ever seen
    returns Solution, history (one dict a round)
    """
    profile = profile_from(facts["profile"])
    poses = matrices(start.quaternion), np.array(start.shift_A), np.array(start.amplitude)
    K = overlap(profile, profile, data.pixel_A)
    o, level = point_occupancies(filter_frames(data.images, data.pixel_A, profile), around_A, *poses, K)
    there = o > PRESENT
    first = Solution(
        poses[0], poses[1], poses[2] * level, np.zeros(len(data)), np.radians(start.sigma_deg), around_A[there],
        np.minimum(o[there], 1.2), profile, float(facts["step_deg"]),
    )  # fmt: skip
    if there.sum() < LEAST_ATOMS:
        return first, []
    nearest_A = nearest_distance(facts["system"], facts["a_A"])
    group = own_motions(first.xyz_A).rotation
    return refine(
        data.images, data.pixel_A, first, data.box_A, group, np.zeros((1, 3)), nearest_A, n_rounds, data.gap,
    )  # fmt: skip


def _solution(xyz_A, profile, poses, step_deg):
    R, s, a, gain = poses
    return Solution(R, s, a, gain, np.full(len(R), np.nan), xyz_A, np.ones(len(xyz_A)), profile, step_deg)


def _nowhere(count):
    return np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 2)), np.ones(count), np.zeros(count)
