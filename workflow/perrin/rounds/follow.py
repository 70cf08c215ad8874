"""Poses of frames against a model of atoms: each frame searched by itself, then the path through time.

Profile and amplitude are learned from some frames first: they are searched by correlation, then by likelihood. Poses of
nearly equal image (`perrin.imaging.symmetry`) count as one until the path is known; which of them it is, the
frames then say together.
"""

import logging

import numpy as np

from perrin.atoms.joint import fit_profile
from perrin.imaging.blobs import Filtered, filter_frames, read
from perrin.imaging.pairs import model_norms
from perrin.imaging.profile import Profile, overlap
from perrin.imaging.rotations import angles_between
from perrin.imaging.symmetry import moved_images, same_images
from perrin.poses.candidates import drawn_density, refined, searched
from perrin.poses.linking import lifted, linked
from perrin.poses.lost import borrow
from perrin.poses.polish import polish
from perrin.poses.stretches import mend
from perrin.rounds.lock import WIDTH_A
from perrin.rounds.refine import HIGHPASS, Solution, held_in_time, measured_step_deg

log = logging.getLogger("perrin")

LEARNING = 32  # frames from which profile and amplitude are learned
REACH_A = 1.8  # of shifts about the tracked centre, which errs by 0.3 to 0.6 A an axis
FIRST_STEP_DEG = 5.0


def learned(data, xyz_A, own):
    """Profile of an atom and amplitude of the frames, from some frames searched and refined in turn."""
    rows = np.unique(np.linspace(0, len(data) - 1, min(LEARNING, len(data))).astype(int))
    few = data.images[rows]
    profile, amplitude = Profile.gaussian(WIDTH_A, HIGHPASS), None
    o = np.ones(len(xyz_A))
    for _ in range(3):
        density = drawn_density(xyz_A, o, profile, data.box_size_px, data.pixel_A)
        found = searched(few, data.centre_A[rows], density, _radius(xyz_A), REACH_A, amplitude, own)
        filtered, K = filter_frames(few, data.pixel_A, profile), overlap(profile, profile, data.pixel_A)
        if amplitude is None:
            every = Filtered(filtered.coefficient[found[0]], filtered.step_A, filtered.centre)
            seen = read(every, xyz_A, *found[1:3]).sum(1) / model_norms(xyz_A, o, found[1], K)
            amplitude = float(np.median(np.maximum.reduceat(seen, np.unique(found[0], return_index=True)[1])))
        frame, R, s, a, gain = refined(filtered, (xyz_A, o, K), found, amplitude, keep=1)
        sure = gain >= np.median(gain)
        profile, factor = fit_profile(
            few[frame[sure]], data.pixel_A, HIGHPASS, xyz_A, o, R[sure], s[sure], a[sure]
        )
        amplitude = float(np.median(a[sure]) * factor)
        log.info("%d frames by themselves: %.1f nats, amplitude %.2f", len(few), gain.mean(), amplitude)
    return profile, amplitude


def candidates(data, xyz_A, profile, amplitude, own):
    """The poses that each frame by itself may have: frame, rotation, shift_A, amplitude, gain; best first."""
    o = np.ones(len(xyz_A))
    density = drawn_density(xyz_A, o, profile, data.box_size_px, data.pixel_A)
    found = searched(data.images, data.centre_A, density, _radius(xyz_A), REACH_A, amplitude, own)
    filtered, K = filter_frames(data.images, data.pixel_A, profile), overlap(profile, profile, data.pixel_A)
    return refined(filtered, (xyz_A, o, K), found, amplitude)


def best_alone(found):
    """The best candidate of every frame: rotation, shift_A, amplitude, gain."""
    first = np.unique(found[0], return_index=True)[1]
    return tuple(column[first] for column in found[1:])


def followed(data, xyz_A, profile, found, own):
    """The Solution along the best path through the candidates, its bad stretches tracked anew."""
    frame, rotation, shift, amplitude, gain = found
    place, step = shift + data.box_A[frame], FIRST_STEP_DEG
    for _ in range(3):
        path = linked(frame, rotation, place, gain, data.gap, step, own)
        R, s = lifted(rotation[path], shift[path], own)
        step = float(np.clip(measured_step_deg(R, data.gap), 0.3, 10))
    a = amplitude[path]
    o, K = np.ones(len(xyz_A)), overlap(profile, profile, data.pixel_A)
    filtered = filter_frames(data.images, data.pixel_A, profile)
    model = (filtered, xyz_A, o, K)
    options = held_in_time(step, data.box_A, data.gap)
    if len(own) > 1:  # nearly equal is not equal: which of them it is
        R, s, a = told_apart(*model, R, s, a, own, data.box_A, data.gap, step)
    R, s, a, gain, sigma = polish(*model, R, s, a, 3, **options)
    R, s, a, gain, lent = borrow(*model, R, s, a, gain, data.box_A, step)
    R, s, a, gain, mended = mend(*model, R, s, a, gain, data.box_A, step)
    R, s, a, gain, sigma = polish(*model, R, s, a, 2, **options)
    log.info(
        "path of %.2f deg a frame, %d frames lent a pose, %d stretches tracked anew, %.1f nats a frame",
        step, lent, mended, gain.mean(),
    )  # fmt: skip
    return Solution(R, s, a, gain, sigma, xyz_A, o, profile, step)


def told_apart(
    filtered, xyz_A, o, K, rotation, shift_A, amplitude, own, box_A, gap, step_deg, stride=1, iterations=1
):  # fmt: skip
    """Which of the poses of nearly equal image each frame is in: all of them refined, and the best path through them.

    own : Motions of the model onto itself; step_deg : of the random walk; stride : every how manieth frame is asked,
        those between take what is nearest to the one before; iterations : of each pose
    returns rotation, shift_A, amplitude
    """
    rows = np.arange(0, len(rotation), stride)
    R, s = moved_images(rotation, shift_A, own)
    a = np.array(amplitude, float)
    frame, asked = np.repeat(rows, len(own)), np.repeat(np.arange(len(rows)), len(own))
    every = R[rows].reshape(-1, 3, 3), s[rows].reshape(-1, 2), a[frame]
    turned, moved, level, gain, _ = polish(
        filtered, xyz_A, o, K, *every, iterations, images=frame, amplitude_mean=float(np.median(a))
    )
    apart = np.r_[1.0, np.diff(np.cumsum(gap)[rows])]
    path = linked(asked, turned, moved + box_A[frame], gain, apart, step_deg, None)
    before = np.repeat(turned[path], stride, axis=0)[: len(a)]
    nearest = np.arange(len(a)), np.einsum("fgij,fij->fg", R, before).argmax(1)
    R, s = R[nearest], s[nearest]
    R[rows], s[rows], a[rows] = turned[path], moved[path], level[path]
    return R, s, a


def angles_to(rotation, other, own):
    """(f,) angles, radians, between two paths up to poses of equal image."""
    return angles_between(same_images(other, own), rotation[:, None]).min(1)


def _radius(xyz_A):
    return float(np.linalg.norm(xyz_A, axis=1).max())
