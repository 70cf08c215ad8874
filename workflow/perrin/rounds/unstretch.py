"""The mean strain along the line of sight, held where the views say too little of it.

A model that is stretched along the mean line of sight by a share e, its turns smaller by as much, has the same images
to first order. To second order places in the image move by x t^2 e, x being their distance from the axis and t^2 the
mean square tilt: thousandths of an angstrom for 2 % in a particle that turned within 8 degrees. A profile and a sum of
atoms describe images of real columns no better than that, so whatever the frames' noise allows, the stretch of such a
model is its forward model's error. Atoms on a lattice show it: their mean strain along that direction differs from the
one across, which no small particle does by more than some tenths of a per cent. Both are weighed here, by what each is
good for; where a particle turned far enough nothing is held.
"""

import logging
from dataclasses import replace

import numpy as np

from perrin.atoms.joint import atom_step
from perrin.imaging.blobs import filter_frames
from perrin.imaging.lattice import fitted_deformation
from perrin.imaging.profile import overlap
from perrin.imaging.rotations import across
from perrin.poses.polish import polish
from perrin.rounds.refine import held_in_time

log = logging.getLogger("perrin")

IMAGE_A = 0.003  # systematic error of atoms' places in an image: a hundredth of a pixel
MEAN_STRAIN = (
    0.005  # standard deviation of the mean strain along one direction against those across it, of crystals
)
LEAST_ON = 0.5  # share of atoms on one lattice: of more domains than two no mean strain is known
DEPTH = 1 / 3  # weight of displacements along that direction where atoms look for their sites
LEAST_FOUND = 0.9  # share of the atoms that must find sites so, else the particle has more domains than one
TURNS = 2  # of stretch and poses: atoms give way to the poses that changed, and are stretched a little by it


def unstretched(data, solution, metal):
    """Atoms and poses with the mean strain along the least seen direction weighed against that across it.

    data : Frames; solution : Solution at rest; metal : Element
    returns Solution; dict with `direction` (3,) of the body, `seen` : mean square sine of the angle between it and the
    views, `strain` : along it against across, as the frames have it, `strain_sigma` : how well they know it, `held` :
    share of it taken away, `sigma` : standard deviation of what is left; None where atoms are on no lattice
    """
    axes = np.linalg.eigh(across(solution.rotation))
    seen, along = float(axes[0][0]), axes[1][:, 0]
    strain, on = _strain_along(solution.xyz_A, metal, along)
    if not on >= LEAST_ON:
        return solution, None
    from_middle = solution.xyz_A - solution.xyz_A.mean(0)
    aside = from_middle - np.outer(from_middle @ along, along)
    width_A = np.sqrt(np.square(aside).sum(1).mean() / 2)
    sigma = IMAGE_A / (width_A * max(seen, 1e-6))
    held = sigma**2 / (sigma**2 + MEAN_STRAIN**2)
    found = {
        "direction": [float(x) for x in along], "seen": seen, "strain": strain, "strain_sigma": float(sigma),
        "held": float(held), "sigma": float(sigma * MEAN_STRAIN / np.hypot(sigma, MEAN_STRAIN)),
    }  # fmt: skip
    filtered = filter_frames(data.images, data.pixel_A, solution.profile)
    K = overlap(solution.profile, solution.profile, data.pixel_A)
    walk = held_in_time(solution.step_deg, data.box_A, data.gap)
    xyz, o = solution.xyz_A, solution.occupancy
    R, s, a, gain, sigma = (
        solution.rotation,
        solution.shift_A,
        solution.amplitude,
        solution.gain,
        solution.sigma,
    )
    now = strain
    for turn in range(TURNS):
        middle = xyz.mean(0)
        factor = (1 + (1 - held) * strain) / (1 + now)
        xyz = middle + (xyz - middle) @ (np.eye(3) + (factor - 1) * np.outer(along, along))
        R, s, a, gain, sigma = polish(filtered, xyz, o, K, R, s, a, 4, **walk)
        if turn < TURNS - 1:
            xyz, o, _ = atom_step(filtered, xyz, o, K, R, s, a)
            now, on = _strain_along(xyz, metal, along)
            if not on >= LEAST_ON:
                break
    log.info(
        "strain along the least seen direction %.2f %% (known to %.2f %%), of which %.0f %% is taken away: %.2f nats a "
        "frame, %.2f before", 100 * strain, 100 * found["strain_sigma"], 100 * held, gain.mean(), solution.gain.mean(),
    )  # fmt: skip
    return replace(
        solution, rotation=R, shift_A=s, amplitude=a, gain=gain, sigma=sigma, xyz_A=xyz, occupancy=o
    ), found


def stretch_covariance(xyz_A, held):
    """(n, 3, 3) what the uncertain mean strain adds to the atoms' covariances; held : of `unstretched`, or None."""
    if held is None:
        return np.zeros((len(xyz_A), 3, 3))
    along = np.array(held["direction"])
    off_A = held["sigma"] * ((xyz_A - xyz_A.mean(0)) @ along)
    return np.square(off_A)[:, None, None] * np.outer(along, along)


def on_lattice(xyz_A, metal, along):
    """The deformed lattice of atoms whose places along one direction are known less well: see `fitted_deformation`.

    Along it atoms may be farther off their sites than where lattices are told apart, if nearly all of them find one of
    their own so.
    """
    lattice = metal.system, metal.lattice_A
    weight = np.eye(3) - (1 - DEPTH) * np.outer(along, along)
    near, far = fitted_deformation(xyz_A, *lattice), fitted_deformation(xyz_A, *lattice, weight=weight)
    return far if far[1].mean() >= max(near[1].mean(), LEAST_FOUND) else near


def _strain_along(xyz_A, metal, along):
    """Strain of the lattice along a direction against the mean across it, and the share of atoms on the lattice."""
    F, on, _ = on_lattice(xyz_A, metal, along)
    if not np.isfinite(F).all():
        return np.nan, 0.0
    left, stretch, _ = np.linalg.svd(F)
    V = (left * stretch) @ left.T
    own = along @ V @ along
    return float(own / ((np.trace(V) - own) / 2) - 1), float(on.mean())
