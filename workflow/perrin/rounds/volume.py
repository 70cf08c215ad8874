"""What every stage in three dimensions writes of its poses: records, maps of all frames and of halves, coverage."""

import numpy as np

from perrin.files.maps import write_map
from perrin.files.poses import write_poses, write_star
from perrin.files.records import Poses
from perrin.imaging.profile import Profile
from perrin.imaging.rotations import quaternions
from perrin.maps.halves import half_sets
from perrin.maps.icm import icm
from perrin.maps.mask import soft_sphere
from perrin.maps.nonuniform import nonuniform
from perrin.maps.reconstruct import reconstruct_sets
from perrin.maps.weights import certainty
from perrin.poses.coverage import coverage
from perrin.poses.diffusion import rotational_diffusion

REGULARISERS = ("none", "icm", "nonuniform")
MARGIN_A = 3.0  # of the maps' support beyond the outermost atom


def poses_of(solution, number):
    """The poses of a Solution as a record, frames numbered as in the movie."""
    sigma = np.degrees(solution.sigma)
    return Poses(
        np.asarray(number),
        quaternions(solution.rotation),
        np.asarray(solution.shift_A),
        solution.amplitude,
        sigma,
    )


def support_radius(xyz_A, radius_A, box_px, pixel_A):
    """Radius of the maps' support about the box centre: the outermost atom (or the ball) and a margin."""
    outermost = np.linalg.norm(xyz_A, axis=1).max() if len(xyz_A) else radius_A
    return float(min(max(outermost, radius_A) + MARGIN_A, box_px / 2 * pixel_A))


def maps_of(data, poses, radius_A, reconstruction, half_mode, ridge, regularise="none"):
    """The map of all frames and the two half maps; the map regularised as asked, the halves never.

    data : Frames; radius_A : of the support; regularise : "none", "icm", "nonuniform"
    returns whole Map, (first, second) Map, (f,) half of each frame, 1 or 2
    """
    first, second = half_sets(data.number, half_mode)
    whole, *halves = reconstruct_sets(
        data.images, poses, data.pixel_A, [first, second], weights=certainty(poses, radius_A),
        method=reconstruction, ridge=ridge, mask_radius_A=radius_A,
    )  # fmt: skip
    if regularise != "none":
        mask = soft_sphere(data.box_size_px, data.pixel_A, radius_A)
        parts = (
            icm(*halves, variant="anchored", mask=mask) if regularise == "icm" else nonuniform(*halves)[:2]
        )
        whole = type(whole)((parts[0].data + parts[1].data) / 2, data.pixel_A)
    return whole, tuple(halves), np.where(second, 2, 1)


def write_volume(data, poses, maps, star, csv, map_path, half_paths, stack="../graphene/clean.mrcs"):
    """Write poses (STAR, csv), the map and its halves."""
    whole, halves, half = maps
    first_frame = int(data.number[0] - data.row[0])
    write_star(star, poses, stack, data.pixel_A, data.box_size_px, halves=half, first_frame=first_frame)
    write_poses(csv, poses)
    write_map(map_path, whole)
    for path, density in zip(half_paths, halves, strict=True):
        write_map(path, density)


def coverage_of(poses, diameter_A, system, frame_rate_hz=None):
    """The dict of coverage.json: how the views cover the sphere, and how fast the particle turns."""
    numbers = coverage(poses, "O" if system != "hcp" else None, diameter_A)
    if frame_rate_hz:
        numbers["rotation"] = rotational_diffusion(poses, 1 / frame_rate_hz)
    return numbers


def profile_facts(profile):
    """A Profile for JSON."""
    return {
        "sigmas_A": [float(v) for v in profile.sigma_A],
        "weights": [float(v) for v in profile.weight],
        "highpass_A1": float(profile.highpass),
    }


def profile_from(facts):
    """The Profile that `profile_facts` wrote."""
    return Profile(np.array(facts["sigmas_A"]), np.array(facts["weights"]), float(facts["highpass_A1"]))
