"""A movie with known truth from a specification: counts chunk by chunk, and the truth beside them.

    truth, chunks = simulate_movie(spec)

Intensity = (1 + s) for bright atoms or exp(-s) for dark ones, times (1 + background); s = contrast times the
sum of the atoms' spots; an optional smooth shadow; counts are Poisson. What a projection leaves out (multiple
scattering, depth, focus) is not here.
"""

import dataclasses

import numpy as np
from numba import njit, prange

from perrin.files.elements import element
from perrin.simulate import background, images, motion, particle

CHUNK_BYTES = 32_000_000
MASK_A = 1.6  # the particle's outline: pixels this near to a projected atom
FAINTEST = 0.05  # share of the background that is left at the bottom of the darkest pixel


@dataclasses.dataclass
class Truth:
    """Everything known about a simulated movie.

    quaternion (n, 4), origin_px (n, 2) x and y of the body's origin, state (n,) from 1, flag (n,) text,
    snr (n,) filled while the frames are made; states: [(first_frame, id, xyz_A)]; contrast: an atom's height
    as a share of the background's brightness; spec: the specification with its defaults.
    """

    spec: dict
    states: list
    quaternion: np.ndarray
    origin_px: np.ndarray
    state: np.ndarray
    flag: np.ndarray
    snr: np.ndarray
    contrast: float


DEFAULTS = {
    "name": "simulated",
    "seed": 0,
    "element": "Pt",
    "polarity": "bright",
    "pixel_size_A": 0.358,
    "frame_rate_hz": 400.0,
    "dose_e_px": 17.0,
    "n_frames": 1000,
    "field_px": [128, 128],
    "snr": 0.25,
    "profile": [list(part) for part in images.RINGED],
    "shadow_pct": 0.0,
    "particle": {},
    "rotation": {},
    "motion": {},
    "others": [],
    "background": {},
    "blank_frames": [],
}


def simulate_movie(spec):
    """Truth and a generator of counts, (frames, height, width) uint8 chunks, for a specification (dict).

    Keys with defaults are in DEFAULTS; field_px is a number or [width, height]. particle: see
    `particle.build_states`; rotation, motion: see `motion`; background: {graphene: [sheets], liquid: {...}};
    lattice_A of a particle: that of the element where absent; others: further particles, each {particle, rotation,
    motion, present: [first, last]};
    blank_frames: [{first, last, kind: zero or noparticle}]; shadow_pct: brightness that the particle's
    thickest part takes away; snr: mean over the frames of variance inside the outline / dose. Raises
    ValueError for an unknown key.
    """
    unknown = sorted(set(spec) - set(DEFAULTS))
    if unknown:
        raise ValueError(f"unknown keys in the simulation's specification: {', '.join(unknown)}")
    spec = {**DEFAULTS, **spec}
    if np.isscalar(spec["field_px"]):
        spec["field_px"] = [spec["field_px"]] * 2
    n_frames, seed = int(spec["n_frames"]), int(spec["seed"])
    lattice_A = spec["particle"].get("lattice_A") or element(spec["element"]).lattice_A
    bodies = []
    for number, one in enumerate([spec, *spec["others"]]):
        states = particle.build_states(one["particle"], lattice_A, seed + 1000 * number)
        first = np.array([state[0] for state in states])
        present = one.get("present", [0, n_frames - 1])
        frames = np.arange(n_frames)
        bodies.append(
            {
                "states": states,
                "state": np.searchsorted(first, frames, side="right"),
                "quaternion": motion.orientations(
                    one.get("rotation", {}), n_frames, np.random.default_rng([seed, 10, number])
                ),
                "place": motion.positions(
                    one.get("motion", {}),
                    n_frames,
                    spec["field_px"],
                    np.random.default_rng([seed, 11, number]),
                ),
                "present": (frames >= present[0]) & (frames <= present[1]),
            }
        )
    subject = bodies[0]
    blank = np.full(n_frames, "", dtype="U12")
    for stretch in spec["blank_frames"]:
        blank[stretch["first"] : stretch["last"] + 1] = stretch.get("kind", "zero")
    radius_px = max(np.linalg.norm(xyz, axis=1).max() for *_, xyz in subject["states"]) / spec["pixel_size_A"]
    place = subject["place"]
    rim = np.minimum(place, np.asarray(spec["field_px"]) - 1 - place).min(1)
    flag = np.where(rim < -0.5, "outside", np.where(rim < radius_px, "edge", "ok"))
    flag = np.where(blank != "", "blank", flag)
    truth = Truth(
        spec=spec,
        states=subject["states"],
        quaternion=subject["quaternion"],
        origin_px=place,
        state=subject["state"],
        flag=flag,
        snr=np.zeros(n_frames),
        contrast=_contrast(spec, subject),
    )
    return truth, _chunks(truth, bodies, blank)


def _contrast(spec, subject):
    """Height of one atom that gives the wanted mean power SNR, from up to 100 frames of the movie."""
    rows = np.unique(np.linspace(0, len(subject["state"]) - 1, 100).astype(int))
    xyz = subject["states"][0][2]
    half = int(np.ceil(np.linalg.norm(xyz, axis=1).max() / spec["pixel_size_A"])) + 10
    origin = np.full((len(rows), 2), half)
    quaternion = subject["quaternion"][rows]
    size = (2 * half, 2 * half)
    spots = images.project_atoms(xyz, quaternion, origin, size, spec["pixel_size_A"], spec["profile"])
    variance = _outline_variance(spots, _places(xyz, quaternion, origin, spec["pixel_size_A"]), _reach(spec))
    return float(np.sqrt(spec["snr"] / (spec["dose_e_px"] * variance.mean())))


def _reach(spec):
    return MASK_A / spec["pixel_size_A"]


def _places(xyz_A, quaternion, origin_px, pixel_A):
    lab = np.einsum(
        "nij,aj->nai", images.Rotation.from_quat(quaternion, scalar_first=True).as_matrix(), xyz_A
    )
    return lab[:, :, :2] / pixel_A + np.asarray(origin_px, float)[:, None]


@njit(cache=True, parallel=True)
def _outline_variance(stack, place_px, reach_px):
    """Variance of each image over the pixels within reach of a projected atom; 0 where there are none."""
    count, height, width = stack.shape
    out = np.zeros(count)
    for frame in prange(count):
        inside = np.zeros((height, width), np.bool_)
        for atom in range(place_px.shape[1]):
            x, y = place_px[frame, atom]
            for row in range(max(0, int(np.ceil(y - reach_px))), min(height, int(y + reach_px) + 1)):
                for column in range(max(0, int(np.ceil(x - reach_px))), min(width, int(x + reach_px) + 1)):
                    if (row - y) ** 2 + (column - x) ** 2 <= reach_px**2:
                        inside[row, column] = True
        number, total, squares = 0, 0.0, 0.0
        for row in range(height):
            for column in range(width):
                if inside[row, column]:
                    number += 1
                    total += stack[frame, row, column]
                    squares += stack[frame, row, column] ** 2
        if number > 0:
            out[frame] = squares / number - (total / number) ** 2
    return out


def _shadow(spec, xyz_A, quaternion, origin_px, shape):
    """Smooth darkening by the particle's thickness; `shadow_pct` where it is thickest."""
    wide = ((2.5, 1.0),)
    soft = images.project_atoms(xyz_A, quaternion, origin_px, shape, spec["pixel_size_A"], wide)
    return soft * (spec["shadow_pct"] / 100 / max(float(soft.max()), 1e-9))


def _chunks(truth, bodies, blank):
    spec = truth.spec
    pixel, dose, seed = spec["pixel_size_A"], spec["dose_e_px"], int(spec["seed"])
    shape = (int(spec["field_px"][1]), int(spec["field_px"][0]))
    sheets = spec["background"].get("graphene", [])
    still = 1 + background.graphene(shape, pixel, sheets)
    moving = None
    if "liquid" in spec["background"]:
        moving = background.liquid(spec["background"]["liquid"] or {}, shape, pixel, seed)
    step = max(1, CHUNK_BYTES // (8 * shape[0] * shape[1]))
    for first in range(0, len(truth.state), step):
        frames = np.arange(first, min(first + step, len(truth.state)))
        expected = np.zeros((len(frames), *shape), np.float32)
        darker = np.zeros_like(expected) if spec["shadow_pct"] > 0 else None
        for number, body in enumerate(bodies):
            seen = body["present"][frames] & (blank[frames] != "noparticle")
            for state in np.unique(body["state"][frames]):
                rows = np.flatnonzero(seen & (body["state"][frames] == state))
                if len(rows) == 0:
                    continue
                xyz = body["states"][state - 1][2]
                quaternion, place = body["quaternion"][frames[rows]], body["place"][frames[rows]]
                spots = images.project_atoms(xyz, quaternion, place, shape, pixel, spec["profile"])
                spots *= np.float32(truth.contrast)
                if number == 0:
                    where = _places(xyz, quaternion, place, pixel)
                    truth.snr[frames[rows]] = dose * _outline_variance(spots, where, _reach(spec))
                expected[rows] += spots
                if darker is not None:
                    darker[rows] += _shadow(spec, xyz, quaternion, place, shape)
        expected = 1 + expected if spec["polarity"] == "bright" else np.exp(-expected)
        if darker is not None:
            expected *= np.exp(-darker)
        counts = np.empty(expected.shape, np.uint8)
        for row, frame in enumerate(frames):
            light = still if moving is None else still + moving(frame)
            mean = dose * np.maximum(expected[row] * light, FAINTEST)
            if blank[frame] == "zero":
                mean = np.zeros(shape)
            counts[row] = np.minimum(np.random.default_rng([seed, 5, frame]).poisson(mean), 255)
        yield counts
