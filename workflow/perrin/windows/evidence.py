"""What the frames say of every site at every moment: sufficient statistics, never an image again.

With y_f = a_f sum_j o_fj p(. - u_fj) + white noise, all that is needed of a frame is

    b_fj = <y_f, p(. - u_fj)>,   m_fj = sum_k o_fk K(u_fj - u_fk)

and the log-likelihood ratio of presence against absence of site j in frame f, all others as they are, is exactly

    l_fj = a_f b_fj - a_f^2 (m_fj - o_fj K(0)) - a_f^2 K(0) / 2

Where atoms lie over each other images are not linear, and the same ratio is taken on the curve that the movie shows
(windows.response).

Overlaps are computed when they are needed (a few million distances a second and core) and not stored: memory is
some 20 bytes a frame and site.
"""

from dataclasses import dataclass, field

import numba
import numpy as np

from perrin.imaging.blobs import filter_frames, overlap_value, read
from perrin.windows.response import Response, fit_response, linear

AMPLITUDE_FRAMES = 31  # frames over which the amplitude is averaged: focus wanders more slowly
UNEXPLAINED = 0.5  # share of the expected fit below which a stretch of frames is taken to be mis-posed
STRETCH_FRAMES = 15
PERSISTENCE_FRAMES = 20, 160  # that errors last, at least and at most: an atom away for fewer is not seen
VIEW_DEG = 11.0  # rms turn that makes another view, in which poses and response err otherwise
STAY_FRAMES = 60  # over which a view that lasts is told: along a zone axis one may stay for a hundred
CHI_MEDIAN = 0.4549  # of the square of a standard normal
LASTING = 2.0  # times the movie's persistence, above which errors of a view count: the median over atoms scatters, too


@dataclass
class Evidence:
    """Statistics of f frames and n sites; `present` and `m` change as the sites' lives are found.

    number : (f,) frame of the movie
    b : (f, n) float32; u : (f, n, 2) float32, angstrom, place of every site in every frame
    present : (f, n) float32, 0 to 1; m : (f, n) float32, overlap with all that is present
    amplitude : (f,) float64
    table, dq : of the overlap K (imaging.profile.Overlap)
    used : (f,) bool, frames that count
    response : how intensities add up
    view_frames : frames that errors last, see `view_frames`
    persistence : variance of evidence summed over so many frames, over that of frames one by one: of empty sites, of
        atoms
    trust : (f,) what evidence of a frame counts: less while a view lasts whose errors do
    """

    number: np.ndarray
    b: np.ndarray
    u: np.ndarray
    present: np.ndarray
    m: np.ndarray
    amplitude: np.ndarray
    table: np.ndarray
    dq: float
    used: np.ndarray
    response: Response = field(default_factory=linear)
    view_frames: int = PERSISTENCE_FRAMES[0]
    persistence: tuple[float, float] = (1.0, 1.0)
    trust: np.ndarray | float = 1.0

    @property
    def information(self):
        """(f,) a^2 K(0): twice the log-likelihood that one frame gives for or against one atom on its own."""
        return np.where(self.used, np.square(self.amplitude) * self.table[0, 0], 0.0)

    @property
    def overlap(self):
        """(f, n) float32, overlap of every site with all that is present, in units of one atom's."""
        return self.m / np.float32(self.table[0, 0])

    def intensity(self, column=slice(None)):
        """Intensity read at sites in units of one atom's, (f, n) or (f,) of one."""
        a = (np.maximum(self.amplitude, 1e-12) * self.table[0, 0]).astype(np.float32)
        b = self.b[:, column]
        return b / (a[:, None] if b.ndim > 1 else a)

    def ratio(self, j):
        """(f,) log-likelihood ratio of presence against absence of site j, others as they are."""
        return self.trust * self.information * self.response.worth(self.intensity(j), self.crowding(j))

    def inflation(self, least, atom):
        """What the evidence of an atom, or of an empty site, is divided by: `least`, or as much as its errors last."""
        return max(least, self.persistence[int(atom)])

    def ratios(self):
        """(f, n) float32, the same of all sites."""
        information = np.reshape(self.trust * self.information, (-1, 1)).astype(np.float32)
        return information * self.response.worth(self.intensity(), self.overlap - self.present)

    def crowding(self, j):
        """(f,) overlap of site j with all others present, in units of K(0)."""
        return self.m[:, j] / self.table[0, 0] - self.present[:, j]

    def set_present(self, j, path):
        """Give site j a new life (f,); the overlaps follow."""
        change = np.asarray(path, np.float32) - self.present[:, j]
        _change(self.u, j, change, self.table, self.dq, self.m)
        self.present[:, j] = path


def collect(images, pixel_A, profile, stretches, xyz_A, rotation, shift_A, chunk=256):
    """b and u of all sites: (f, n), (f, n, 2) float32.

    images : (f, n, n) float32, unit noise
    stretches : (f,) int, which of the sets of places holds in a frame; xyz_A : (sets, n, 3), body frame
    rotation (f, 3, 3), shift_A (f, 2)
    """
    frames, sites = len(images), xyz_A.shape[1]
    b = np.empty((frames, sites), np.float32)
    u = np.empty((frames, sites, 2), np.float32)
    for rows in blocks(stretches, chunk):
        filtered = filter_frames(images[rows], pixel_A, profile)
        xyz = xyz_A[stretches[rows.start]]
        b[rows] = read(filtered, xyz, rotation[rows], shift_A[rows])
        u[rows] = project(xyz, rotation[rows], shift_A[rows])
    return b, u


def blocks(label, longest):
    """Slices of equal label, in order, none longer than `longest`."""
    label = np.asarray(label)
    edges = np.flatnonzero(np.diff(label)) + 1
    for first, stop in zip([0, *edges], [*edges, len(label)]):
        pieces = max(1, -(-(stop - first) // longest))
        cuts = np.linspace(first, stop, pieces + 1).round().astype(int)
        yield from (slice(int(a), int(z)) for a, z in zip(cuts[:-1], cuts[1:]) if z > a)


def project(xyz_A, rotation, shift_A):
    """Places of sites in frames, (f, n, 2) float32, angstrom from the box centre."""
    return (np.einsum("fac,nc->fna", rotation[:, :2], xyz_A) + shift_A[:, None]).astype(np.float32)


def view_frames(step_deg):
    """Frames that errors of a view last while the particle turns by step_deg a frame: a random walk's to VIEW_DEG."""
    return int(np.clip(round((VIEW_DEG / step_deg) ** 2), *PERSISTENCE_FRAMES))


def assemble(number, b, u, present, amplitude, overlap, step_deg):
    """An Evidence whose overlaps are summed and whose amplitudes are fitted (running means).

    number (f,), b (f, n), u (f, n, 2), present (f, n), amplitude (f,) a first value; overlap : Overlap
    step_deg : rms rotation a frame
    """
    evidence = Evidence(
        np.asarray(number), b, u, np.array(present, np.float32), np.zeros_like(b),
        np.array(amplitude, float), overlap.table, overlap.dq, np.ones(len(number), bool),
        view_frames=view_frames(step_deg),
    )  # fmt: skip
    sum_overlaps(evidence)
    fit_amplitude(evidence)
    return evidence


def sum_overlaps(evidence):
    """Sum m anew from all that is present."""
    _overlaps(evidence.u, evidence.present, evidence.table, evidence.dq, evidence.m)


def fit_amplitude(evidence, width=AMPLITUDE_FRAMES, turns=2, lasting=False):
    """Amplitudes from the present atoms, averaged over some frames, and the response in turn with them; mis-posed
    stretches cease to count.

    A stretch is mis-posed where its own fit falls short of half of what the movie's median amplitude promises.
    lasting : whether the trust in each frame is fitted, too. Lives must have been found once: as long as atoms that
        left are in the model, all others deviate.
    returns (f,) that share, averaged over 15 frames; 1 for a perfect model
    """
    c = np.einsum("fj,fj->f", evidence.present, evidence.b, dtype=np.float64)
    K0 = np.float32(evidence.table[0, 0])
    if not evidence.present.any():
        evidence.used[:] = False
        return np.zeros(len(c))
    evidence.response, overlap = linear(), evidence.overlap
    for turn in range(turns):
        model = evidence.m if turn == 0 else K0 * evidence.response.expected(overlap)
        squared = np.einsum("fj,fj->f", evidence.present, model, dtype=np.float64)
        local = _running(c, STRETCH_FRAMES) / np.maximum(_running(squared, STRETCH_FRAMES), 1e-12)
        reference = float(np.median(local))
        explained = local / reference if reference > 0 else np.zeros(len(c))
        evidence.used[:] = explained > UNEXPLAINED
        weight = evidence.used.astype(float)
        top, bottom = _running(c * weight, width), _running(squared * weight, width)
        evidence.amplitude[:] = np.where(
            bottom > 0, np.maximum(top, 0) / np.maximum(bottom, 1e-12), max(reference, 0)
        )
        evidence.response = fit_response(
            evidence.intensity(), overlap, np.broadcast_to(evidence.information[:, None], overlap.shape)
        )
    empty, atoms = _deviations(evidence)
    evidence.persistence = tuple(_persistence(one, evidence.view_frames) for one in (empty, atoms))
    if lasting:
        evidence.trust = _trust(atoms, evidence.persistence[1], max(STAY_FRAMES, evidence.view_frames))
    return explained


def _deviations(evidence):
    """Standardised deviations of intensity (f, sites) from each site's own mean: of sites always empty, of atoms.

    Errors of poses and of the response last as long as a view does. A site's own mean is no error of that kind.
    """
    apart = evidence.response.standardised(evidence.intensity(), evidence.overlap)
    apart = apart * np.sqrt(evidence.information)[:, None]
    taken = evidence.present > 0.5
    return [apart[:, sites] - apart[:, sites].mean(0) for sites in ((~taken).all(0), taken.all(0))]


def _persistence(deviations, length):
    """Median over sites of the variance of sums over so many frames, over that of white noise."""
    starts = np.arange(0, len(deviations) - length + 1, length)
    if len(starts) < 2 or not deviations.shape[1]:
        return 1.0
    sums = np.add.reduceat(deviations[: starts[-1] + length], starts, axis=0)
    return float(np.median(np.square(sums).mean(0) / length))


def _trust(deviations, persistence, length):
    """(f,) the movie's persistence of atoms over that about each frame where that is LASTING, else 1.

    While the particle stands along a zone axis all its columns are a little off for as long: over a hundred frames that
    adds up to an atom that seems to have left one of them.
    """
    frames, sites = deviations.shape
    if frames < 2 * length or not sites:
        return np.ones(frames)
    total = np.concatenate([np.zeros((1, sites)), np.cumsum(deviations, axis=0, dtype=np.float64)])
    sums = total[length:] - total[:-length]
    here = np.median(np.square(sums), axis=1) / (CHI_MEDIAN * length)
    middle = np.clip(np.arange(frames) - length // 2, 0, len(here) - 1)
    excess = here[middle] / max(persistence, 1.0)
    return np.where(excess > LASTING, 1 / np.maximum(excess, LASTING), 1.0)


def _running(values, width):
    """Sum over a window of `width` about each value, shorter at the ends."""
    total = np.concatenate([[0], np.cumsum(values)])
    at = np.arange(len(values))
    low, high = np.maximum(at - width // 2, 0), np.minimum(at + width // 2 + 1, len(values))
    return total[high] - total[low]


@numba.njit(parallel=True, fastmath=True, cache=True)
def _overlaps(u, present, table, dq, m):
    frames, n = present.shape
    reach = np.sqrt((table.shape[0] - 2) * dq)
    for f in numba.prange(frames):
        order = np.argsort(u[f, :, 0])
        for j in range(n):
            m[f, j] = present[f, j] * table[0, 0]
        for a in range(n):
            j = order[a]
            for b in range(a + 1, n):
                k = order[b]
                dx = u[f, k, 0] - u[f, j, 0]
                if dx > reach:
                    break
                dy = u[f, k, 1] - u[f, j, 1]
                K = overlap_value(table, dq, dx * dx + dy * dy)
                m[f, j] += present[f, k] * K
                m[f, k] += present[f, j] * K


@numba.njit(parallel=True, fastmath=True, cache=True)
def _change(u, j, change, table, dq, m):
    frames, n = m.shape
    reach = np.sqrt((table.shape[0] - 2) * dq)
    for f in numba.prange(frames):
        if change[f] == 0:
            continue
        x, y = u[f, j, 0], u[f, j, 1]
        for k in range(n):
            dx = u[f, k, 0] - x
            if abs(dx) > reach:
                continue
            dy = u[f, k, 1] - y
            m[f, k] += change[f] * overlap_value(table, dq, dx * dx + dy * dy)
