"""From one good stretch outwards: poses on one branch while the particle changes.

A lattice path has flips and slips that only a model with a shape can undo, and one model of a whole movie is a
blend where atoms come and go: a particle that has lost a facet may fit into its former self in several ways. So
the model is kept local. It starts in the stretch with the clearest occupancies and is carried forwards and
backwards in steps: the next frames are put on their branches by the occupancies of the frames just before, refined,
and the occupancies are taken anew from the frames at the frontier.
"""

import logging

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.depth import slope, sure_slope
from perrin.atoms.sites import PRESENT
from perrin.imaging import lattice
from perrin.imaging.blobs import Filtered, filter_frames
from perrin.imaging.profile import Profile, overlap
from perrin.poses.polish import polish
from perrin.poses.relabel import segment_test
from perrin.poses.stretches import mend
from perrin.progress import progress
from perrin.rounds.lock import WIDTH_A, atom_amplitude
from perrin.rounds.refine import HIGHPASS, Solution, measured_step_deg
from perrin.rounds.seed import occupancies, seed_sites, sites_around
from perrin.rounds.settle import settle

log = logging.getLogger("perrin")

STEP = 30  # frames put on their branches at once
MEMORY = 120  # frames behind the frontier from which the local occupancies are taken
TURNED_DEG = 22.0  # rms turn within such a stretch: fewer sides do not tell four atoms of a column from five
LONGEST = 4.0  # times as many frames where the particle turns more slowly, at most
OVERLAP = 40  # frames behind the frontier that are looked at again; the older half of them is held
# nats that a change of branch costs at most. The lattice path is continuous: where it does not jump, a jump has no
# reason but a changed shape, which seems to fit in another orientation for as long as the view lasts
JUMP_CAP, SMOOTH_CAP = 100.0, 400.0
BLOCK = 400  # frames that share a model while bad stretches are tracked anew
FAINT = 0.2  # of the plateau: a site whose neighbours are asked again


def turned_enough(frames, step_deg):
    """So many frames, or more where the particle turns slowly: a random walk has turned by TURNED_DEG in MEMORY's."""
    return round(frames * float(np.clip((TURNED_DEG / step_deg) ** 2 / MEMORY, 1.0, LONGEST)))


class Path:
    """Poses of all frames while they are being refined, with the local model that carries them on."""

    def __init__(self, filtered, lock, amplitude, box_A, gap):
        self.filtered, self.lock, self.box_A = filtered, lock, box_A
        self.gap = np.ones(len(box_A)) if gap is None else gap
        self.rotation, self.shift_A = np.array(lock.rotation, float), np.array(lock.shift_A, float)
        self.amplitude = np.full(len(box_A), float(amplitude))
        self.gain, self.sigma = np.zeros(len(box_A)), np.zeros(len(box_A))
        self.step_deg = lock.step_deg
        self.slope = np.zeros((2, len(box_A)))  # of the depth term, in frames whose branch is settled
        self.branches = lattice.branches(lock.system, lock.a_A)

    def frames(self, first, stop):
        """Filtered frames of a stretch, and the slice."""
        part = slice(first, stop)
        return Filtered(self.filtered.coefficient[part], self.filtered.step_A, self.filtered.centre), part

    def relabel(self, first, stop, xyz, occupancy, K, held=None):
        """Put a stretch on its branches; returns the share of frames that changed."""
        few, part = self.frames(first, stop)
        depth = sure_slope(*self.slope[:, self.slope[1] > 0])
        level = np.full(stop - first, np.median(self.amplitude[part]))
        R, s, changed, _ = segment_test(
            few, xyz, occupancy, K, self.rotation[part], self.shift_A[part], level, self.box_A[part],
            *self.branches, self.step_deg, gap=self.gap[part], held=held, angle_cap=JUMP_CAP,
            smooth_cap=SMOOTH_CAP, depth=depth,
        )  # fmt: skip
        self.rotation[part], self.shift_A[part] = R, s
        return float(changed.mean())

    def weigh(self, first, stop, xyz, K):
        """Take a stretch into account where the hand is told by the atoms' depth."""
        few, part = self.frames(first, stop)
        self.slope[:, part] = slope(
            few, xyz, K, self.rotation[part], self.shift_A[part], self.amplitude[part]
        )

    def mend(self, first, stop, xyz, occupancy, K):
        """Track the bad stretches of a block anew; returns how many changed."""
        few, part = self.frames(first, stop)
        *found, changed = mend(
            few, xyz, occupancy, K, self.rotation[part], self.shift_A[part], self.amplitude[part],
            self.gain[part], self.box_A[part], self.step_deg, low_runs="touching",
        )  # fmt: skip
        self.rotation[part], self.shift_A[part], self.amplitude[part], self.gain[part] = found
        return changed

    def polish(self, first, stop, xyz, occupancy, K, iterations=4):
        """Refine the poses of a stretch."""
        few, part = self.frames(first, stop)
        found = polish(
            few, xyz, occupancy, K, self.rotation[part], self.shift_A[part], self.amplitude[part], iterations,
            walk_deg=self.step_deg, box_A=self.box_A[part], gap=self.gap[part],
        )  # fmt: skip
        self.rotation[part], self.shift_A[part], self.amplitude[part], self.gain[part], self.sigma[part] = (
            found
        )


def grow(frames, pixel_A, lock, extent_A, box_A, gap=None, window=120):
    """Poses on one branch and the sites' occupancies along time, from a lattice lock.

    frames : (f, n, n) float32, clean; extent_A : largest distance of an atom from the particle's centre, about
    box_A (f, 2): absolute place of the boxes; gap (f,): frames since the one before
    window : frames of the first stretch; this and MEMORY are longer where the particle turns slowly
    returns Solution (its atoms: the sites occupied at any time, with their mean occupancy), local occupancies
    (steps, n) and the first frame of each step (steps,)
    """
    raw = Profile(np.array([WIDTH_A]), np.array([1.0]), HIGHPASS)
    profile = Profile.gaussian(WIDTH_A, HIGHPASS)
    filtered = filter_frames(frames, pixel_A, profile)
    K = overlap(profile, profile, pixel_A)
    start = atom_amplitude(lock) * float(raw.value(0.0))
    around = sites_around(lock, extent_A)
    lock, a, around = settle(filtered, lock, around, K, start, box_A, gap)
    window, memory = turned_enough(window, lock.step_deg), turned_enough(MEMORY, lock.step_deg)
    first, level = seed_sites(filtered, lock, around, profile, pixel_A, float(np.median(a)), box_A, window)
    sites = around.xyz_A
    path = Path(filtered, lock, level, box_A, gap)
    count = len(frames)
    low, high = first, min(first + window, count)

    spacing = 1.1 * lattice.nearest_distance(lock.system, lock.a_A)
    beside = cKDTree(sites).query_ball_point(sites, spacing)

    def local(begin, stop, before=None):
        """Occupancies of a stretch with their plateau at 1; its amplitudes take up the plateau.

        Asked are all sites at first, then those that hold something and their neighbours.
        """
        rows = np.arange(len(sites))
        if before is not None:
            rows = np.unique(np.concatenate([beside[j] for j in np.flatnonzero(before > FAINT)]))
        few, part = path.frames(begin, stop)
        found, level, _ = occupancies(
            few, around.take(rows), path.rotation[part], path.shift_A[part], path.amplitude[part], K,
            None if before is None else before[rows],
        )  # fmt: skip
        path.amplitude[part] *= level
        o = np.zeros(len(sites))
        o[rows] = found
        return o

    def model(o):
        keep = o > PRESENT
        return sites[keep], np.minimum(o[keep], 1.2)

    for _ in range(3):
        o = local(low, high)
        changed = path.relabel(low, high, *model(o), K)
        path.polish(low, high, *model(o), K)
        path.weigh(low, high, model(o)[0], K)
        if changed == 0:
            break
    o = local(low, high, o)
    seed = o
    log.info("first stretch %d-%d: %d sites", low, high - 1, (o > PRESENT).sum())
    steps = {low: o}
    ahead = [(first, min(first + STEP, count)) for first in range(high, count, STEP)]
    back = [(max(stop - STEP, 0), stop) for stop in range(low, 0, -STEP)]
    for new, stop in progress(ahead + back, "stretches put on their branches"):
        if new >= high:  # forwards: the known frames lie before
            begin, end, known = max(new - OVERLAP, low), stop, slice(max(new - OVERLAP, low), new)
            held = np.arange(begin, end) < (begin + new) // 2
            weighed = max(stop - memory, low), stop
        else:
            o = seed if stop == low else o
            begin, end, known = new, min(stop + OVERLAP, high), slice(stop, min(stop + OVERLAP, high))
            held = np.arange(begin, end) >= (stop + end) // 2
            weighed = new, min(new + memory, high)
        path.amplitude[new:stop] = np.median(path.amplitude[known])
        free = begin + int(np.argmin(held)), end - int(np.argmin(held[::-1]))
        changed = path.relabel(begin, end, *model(o), K, held)
        path.polish(*free, *model(o), K)
        if changed:  # unrefined poses had blurred the test
            path.relabel(begin, end, *model(o), K, held)
            path.polish(*free, *model(o), K)
        path.weigh(*free, model(o)[0], K)
        o = local(*weighed, o)
        steps[new] = o
    path.step_deg = float(
        np.clip(measured_step_deg(path.rotation, path.gap, path.sigma, path.step_deg), 0.3, 10)
    )
    begins = np.array(sorted(steps))
    table = np.array([steps[b] for b in begins])
    mended = 0
    for begin in range(0, count, BLOCK // 2):
        end = min(begin + BLOCK, count)
        known = (begins >= begin - STEP) & (begins < end)
        mended += path.mend(begin, end, *model(np.median(table[known], axis=0)), K)
    ever = (table > PRESENT).any(0)
    weight = np.diff(np.r_[begins, count])
    mean = weight @ table / count
    log.info(
        "grown: %d stretches mended, %d sites ever occupied, %d on average, step %.2f deg, %.1f nats a frame, "
        "images change by %.2f %% for 1 A of height", mended, ever.sum(), (mean > PRESENT).sum(), path.step_deg,
        path.gain.mean(), 100 * sure_slope(*path.slope),
    )  # fmt: skip
    solution = Solution(
        path.rotation, path.shift_A, path.amplitude, path.gain, path.sigma, sites[ever], mean[ever], profile,
        path.step_deg,
    )  # fmt: skip
    return solution, table[:, ever], begins
