"""From frames to one path of poses on a lattice: constants of the lattice, orientations, shifts.

Nothing is given but the element. Lattice constant and radius of the ball that stands for the particle are those with
which a stretch of frames is explained best (log-likelihood of the best path through time).
"""

import logging
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.fft

from perrin.imaging import lattice
from perrin.imaging.blobs import high_passed
from perrin.imaging.grids import orientation_grid
from perrin.poses import chain, evidence, shifts

log = logging.getLogger("perrin")

HIGHPASS = 0.12  # 1/angstrom, lattice stage: leaves all reflections, takes shadow and slow background
ORDERS = 2.05  # reflections up to this multiple of the first one: {111} to {222} of fcc
WIDTH_A = 0.45  # of the Gaussian that the shells' first amplitudes follow
LOOSE_DEG = 1.5  # a step below it is not held to: a path too stiff is lost, and looks stiffer still
CHUNK = 400  # frames whose windowed transforms (0.4 MB each) are held at once


@dataclass(frozen=True)
class LatticeLock:
    """A path of poses on the lattice.

    system, a_A, radius_A : the lattice and the ball
    amplitudes (shells,), alpha : of the reflections, strongest shell first normalised to 1, and their common factor
    rotation (f, 3, 3), shift_A (f, 2) : poses; body axes are the lattice's, its origin a lattice point
    offset_A (3,) : from the lattice's origin to the tracked centre
    evidence (f,) : log-likelihood ratio of each frame on the path
    per_frame : log-likelihood of the path over the number of frames
    step_deg : rms rotation between frames
    scan : list of dicts, the points tried for a_A and radius_A
    """

    system: str
    a_A: float
    radius_A: float
    amplitudes: np.ndarray
    alpha: float
    rotation: np.ndarray
    shift_A: np.ndarray
    offset_A: np.ndarray
    evidence: np.ndarray
    per_frame: float
    step_deg: float
    scan: list


def reflections_of(system, a_A):
    """The reflections used: those up to ORDERS times the length of the first."""
    first = np.linalg.norm(lattice.reflections(system, a_A, 2.2 / a_A).G[0])
    return lattice.reflections(system, a_A, ORDERS * first)


def _reach(system, a_A):
    """Largest |k| of the windowed transforms, 1/angstrom: room for a lattice 5 % smaller."""
    return 1.06 * np.linalg.norm(reflections_of(system, a_A).G[-1])


def _start_amplitudes(reflections):
    length = np.array(
        [np.linalg.norm(reflections.G[reflections.shell == h][0]) for h in range(reflections.shell.max() + 1)]
    )
    f = np.exp(-2 * np.pi**2 * WIDTH_A**2 * length**2) * (1 - np.exp(-(length**2) / (2 * HIGHPASS**2)))
    return f / f[0]


def _alpha(windows, grid, reflections, amplitudes, near=None):
    """Best common amplitude from up to 60 frames, to some per cent.

    near : amplitude in units of that of a frame that shows one spot perfectly, where it is about known
    returns alpha, alpha in those units
    """
    rows = np.unique(np.linspace(0, len(windows.table) - 1, 60).astype(int))
    few = evidence.BallWindows(windows.table[rows], windows.norm, windows.dg, windows.dk, windows.radius_A)
    some = evidence.spots(grid.rotation[::4], reflections, windows)
    unit = 1 / (np.sqrt(windows.norm[0]) * amplitudes[0])
    if near is None:
        near = evidence.best_amplitude(few, some, amplitudes, unit * np.geomspace(0.3, 30, 8))[0] / unit
    for _ in range(6):  # in an empty field it falls without end
        tried = unit * near * np.array([0.7, 1, 1.4])
        best, means = evidence.best_amplitude(few, some, amplitudes, tried)
        near = best / unit
        if best == tried[1]:
            break
    alpha = np.exp(_peak(np.log(tried), means))
    return float(alpha), float(alpha / unit)


def explain(frames, pixel_A, system, a_A, radius_A, grid, step_deg, gap, windows=None, near=None):
    """Log-likelihood per frame of the best path through a stretch; the amplitude in the units of `_alpha`."""
    if windows is None:
        windows = evidence.windowed_transforms(frames, pixel_A, radius_A, _reach(system, a_A))
    reflections = reflections_of(system, a_A)
    f = _start_amplitudes(reflections)
    alpha, near = _alpha(windows, grid, reflections, f, near)
    spot = evidence.spots(grid.rotation, reflections, windows)
    score = evidence.lattice_scores(windows, spot, f, alpha)
    _, total = chain.viterbi([score], grid, step_deg, gap)
    return total / len(frames), near


def _peak(x, y):
    """Place of the maximum by a parabola through the best point and its neighbours."""
    i = int(np.argmax(y))
    if i in (0, len(x) - 1):
        return float(x[i])
    c = np.polyfit(x[i - 1 : i + 2] - x[i], y[i - 1 : i + 2], 2)
    return float(x[i] + np.clip(-c[1] / (2 * c[0]), x[i - 1] - x[i], x[i + 1] - x[i]))


def scan_lattice(frames, pixel_A, system, a_A, radius_A, gap, step_deg=2.5, spread=0.035):
    """Lattice constant and radius that explain a stretch of frames best.

    frames : high-passed, some 300 consecutive ones
    a_A, radius_A : where to look, within spread (relative) and a factor of 1.5
    returns a_A, radius_A, list of the points tried
    """
    group = lattice.pattern_group(system)
    grid = orientation_grid(group, 4.0, max(3.4 * step_deg / np.sqrt(3), 8.8))
    tried = []
    near = None

    def value(a, radius, windows=None):
        nonlocal near
        per_frame, near = explain(frames, pixel_A, system, a, radius, grid, step_deg, gap, windows, near)
        tried.append({"a_A": float(a), "radius_A": float(radius), "per_frame": float(per_frame)})
        log.info("lattice %.3f A, ball %.2f A: %.1f nats a frame", a, radius, per_frame)
        return per_frame

    def over_a(values, radius):
        windows = evidence.windowed_transforms(frames, pixel_A, radius, _reach(system, a_A))
        return _peak(values, np.array([value(a, radius, windows) for a in values]))

    a = over_a(a_A * (1 + spread * np.linspace(-1, 1, 7)), radius_A)
    radii = radius_A * np.array([0.82, 0.91, 1.0, 1.1, 1.2])
    scores = [value(a, r) for r in radii]
    while np.argmax(scores) == len(radii) - 1 and radii[-1] < 1.9 * radius_A:
        radii = np.r_[radii, radii[-1] * 1.1]
        scores.append(value(a, radii[-1]))
    while np.argmax(scores) == 0 and radii[0] > 0.45 * radius_A:
        radii = np.r_[radii[0] * 0.9, radii]
        scores.insert(0, value(a, radii[0]))
    radius = _peak(radii, np.array(scores))
    a = over_a(a * (1 + 0.012 * np.linspace(-1, 1, 3)), radius)
    return a, radius, tried


def busiest_stretch(frames, pixel_A, radius_A, length):
    """First frame of the stretch with the most power in the lattice band (0.38-0.56 1/A) inside the ball."""
    n = frames.shape[-1]
    if len(frames) <= length:
        return 0
    k = np.hypot(np.fft.fftfreq(n, pixel_A)[:, None], np.fft.rfftfreq(n, pixel_A)[None, :])
    axis = (np.arange(n) - n // 2) * pixel_A
    inside = (axis[:, None] ** 2 + axis[None, :] ** 2) < radius_A**2
    band = (k > 0.38) & (k < 0.56)
    power = np.empty(len(frames))
    for first in range(0, len(frames), 256):
        block = scipy.fft.rfft2(frames[first : first + 256] * inside)
        power[first : first + 256] = np.square(np.abs(block[:, band])).sum(1)
    total = np.convolve(power, np.ones(length), "valid")
    return int(np.argmax(total))


@dataclass(frozen=True)
class _Frames:
    """What a path is sought through: frames in chunks of windowed transforms, and where their boxes lie."""

    images: np.ndarray
    pixel_A: float
    box_px: np.ndarray
    centre_A: np.ndarray
    gap: np.ndarray

    def take(self, part):
        return _Frames(
            self.images[part], self.pixel_A, self.box_px[part], self.centre_A[part], self.gap[part]
        )

    def windows(self, radius_A, reach):
        """Slices and their windowed transforms, one CHUNK after another."""
        for begin in range(0, len(self.images), CHUNK):
            part = slice(begin, begin + CHUNK)
            filtered = high_passed(self.images[part], self.pixel_A, HIGHPASS)
            yield part, evidence.windowed_transforms(filtered, self.pixel_A, radius_A, reach)


def _path(data, system, a_A, radius_A, amplitudes, alpha, step_deg, grid_deg):
    """The lattice's path through frames with given constants: a LatticeLock without scan.

    Its amplitudes, alpha and step are those that the path itself shows.
    """
    group = lattice.pattern_group(system)
    reflections, reach = reflections_of(system, a_A), _reach(system, a_A)
    grid = _grid(system, grid_deg, max(3.4 * step_deg / np.sqrt(3), 2.2 * grid_deg))

    def scores():
        spot = None
        for _, windows in data.windows(radius_A, reach):
            spot = evidence.spots(grid.rotation, reflections, windows) if spot is None else spot
            yield evidence.lattice_scores(windows, spot, amplitudes, alpha)

    path, total = chain.viterbi(scores(), grid, step_deg, data.gap)
    rotation = chain.lift(grid.rotation[path], group)
    own, values = _along(data, radius_A, rotation, reflections, reach)
    offsets = shifts.cell_offsets(lattice.slip_vectors(system, a_A))
    for _ in range(2):
        shift, offset, _ = shifts.track_shifts(
            own, values, amplitudes, alpha, rotation, data.box_px, data.centre_A, data.pixel_A, offsets
        )
        offset = shifts.body_centre(rotation, shift, data.centre_A)
        offsets = [offset]
    found = evidence.path_evidence(own, values, shift, amplitudes, alpha)
    shells = evidence.shell_amplitudes(own, values, shift, len(amplitudes))
    if shells[0] > 0:
        shells = np.maximum(shells, 0.02 * shells[0])
        alpha, amplitudes = float(shells[0]), shells / shells[0]
    # a path on a grid adds the grid's own error to every step
    measured = chain.rms_step_deg(rotation)
    step_deg = float(np.clip(np.sqrt(max(measured**2 - (0.75 * grid_deg) ** 2, 0.64)), 0.8, 9.0))
    per_frame = total / len(rotation)
    log.info(
        "lattice path of %d frames: %.1f nats a frame, step %.2f deg", len(rotation), per_frame, step_deg
    )
    return LatticeLock(
        system, a_A, radius_A, amplitudes, alpha, rotation, shift, offset, found, per_frame, step_deg, []
    )  # fmt: skip


@lru_cache(maxsize=2)
def _grid(system, grid_deg, reach_deg):
    return orientation_grid(lattice.pattern_group(system), grid_deg, reach_deg)


def lock_lattice(
    frames, pixel_A, box_px, centre_A, system, a_A, radius_A, gap=None, grid_deg=3.0, scan_frames=300
):  # fmt: skip
    """Orientations and shifts of all frames on the lattice.

    The constants come from the stretch with most power: lattice and ball by a scan, amplitudes and step from its path.

    frames : (f, n, n) float32, clean, unit noise
    box_px : (f, 2) int, field pixel of each box's centre; centre_A : (f, 2) tracked centre from the box centre
    a_A : the element's lattice constant; radius_A : first guess of the ball's radius
    """
    gap = np.ones(len(frames)) if gap is None else gap
    data = _Frames(frames, pixel_A, box_px, centre_A, gap)
    first = busiest_stretch(frames, pixel_A, radius_A, scan_frames)
    few = data.take(slice(first, first + scan_frames))
    filtered = high_passed(few.images, pixel_A, HIGHPASS)
    a_A, radius_A, scan = scan_lattice(filtered, pixel_A, system, a_A, radius_A, few.gap)
    reflections, step_deg = reflections_of(system, a_A), 2.5
    amplitudes = _start_amplitudes(reflections)
    windows = evidence.windowed_transforms(filtered, pixel_A, radius_A, _reach(system, a_A))
    alpha, _ = _alpha(windows, _grid(system, grid_deg, 2.2 * grid_deg), reflections, amplitudes)
    known = _path(few, system, a_A, radius_A, amplitudes, alpha, step_deg, grid_deg)
    step_deg = max(known.step_deg, LOOSE_DEG)
    found = _path(data, system, a_A, radius_A, known.amplitudes, known.alpha, step_deg, grid_deg)
    return replace(found, scan=scan, step_deg=max(found.step_deg, known.step_deg))


def _along(data, radius_A, rotation, reflections, reach):
    """Spots and their coefficients along a path, chunk by chunk."""
    parts = [
        evidence.path_coefficients(windows, rotation[part], reflections)
        for part, windows in data.windows(radius_A, reach)
    ]
    counts = np.concatenate([np.diff(spot.first) for spot, _ in parts])
    joined = evidence.Spots(
        np.r_[0, np.cumsum(counts)].astype(np.int64),
        *(
            np.concatenate([getattr(spot, name) for spot, _ in parts])
            for name in ("place", "shell", "k", "weight", "norm")
        ),
    )
    return joined, np.concatenate([values for _, values in parts])


def atom_amplitude(lock):
    """Factor of one atom's Gaussian profile (width WIDTH_A, unit integral) that the locked lattice implies.

    A density of atoms with images alpha_1 g(r) has Fourier amplitudes alpha_1 g(G) / V on the lattice.
    """
    length = np.linalg.norm(reflections_of(lock.system, lock.a_A).G[0])
    volume = lattice.volume_per_atom(lock.system, lock.a_A)
    transfer = np.exp(-2 * np.pi**2 * WIDTH_A**2 * length**2) * (1 - np.exp(-(length**2) / (2 * HIGHPASS**2)))
    return lock.alpha * lock.amplitudes[0] * volume / transfer
