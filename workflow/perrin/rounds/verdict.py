"""Whether to believe a solution: what separated good from failed ones, as checks with numbers and limits.

The signals and their levels are those of solved and of stuck particles: occupancies (near 1 in a right model, spread in
a blend of copies), jumps that bracket stretches on a wrong branch, the likelihood against that of a perfect fit.
"""

from functools import partial

import numpy as np
from scipy.ndimage import median_filter

from perrin.imaging.grids import equivalents
from perrin.imaging.lattice import pattern_group
from perrin.imaging.profile import overlap
from perrin.imaging.rotations import angles_between
from perrin.imaging.symmetry import own_motions
from perrin.poses import stretches
from perrin.rounds.leftover import left_in

ORDER = ("good", "doubtful", "failed")
LEAST_ATOMS = 13
LEAST_GAIN = 10.0  # nats a frame above an empty frame
OCCUPANCY_SD = 0.11, 0.20  # good below the first, failed above the second
OCCUPANCY_MIN = 0.35, 0.0
JUMPS = 0.06, 0.30  # share of frames off the main branch
BRANCH_DEG = 25.0  # a larger jump is no weak frame
BESIDE = 200  # frames on either side of a jump that must be explained
LEFT = 0.15  # of the particle's power there, at most: another domain leaves a quarter, a tenth of the atoms a tenth


def check(name, value, good, failed, meaning, above=False):
    """One check: value against the limit of good and the limit of failed.

    above : whether larger is better
    """
    value = float(value)
    worse = np.less if above else np.greater
    if not np.isfinite(value) or worse(value, failed):
        verdict = "failed"
    else:
        verdict = "doubtful" if worse(value, good) else "good"
    return {
        "name": name,
        "value": value if np.isfinite(value) else None,
        "limit": float(good),
        "verdict": verdict,
        "meaning": meaning,
    }


def unexplained_check(left, good, failed):
    """The check of `perrin.rounds.leftover.unexplained_share`.

    Atoms that fill the whole box leave no place to measure the noise in: nothing is known, and that is doubtful.
    """
    asked = check(
        "unexplained", left, good, failed, "share of the particle's power that the atoms leave unexplained"
    )
    return asked if np.isfinite(left) else asked | {"verdict": "doubtful"}


def overall(checks):
    """The worst verdict of a list of checks, and a sentence that names what decided."""
    worst = max((c["verdict"] for c in checks), key=ORDER.index, default="good")
    if worst == "good":
        return "good", "all checks passed: " + "; ".join(_words(c) for c in checks)
    return worst, "; ".join(_words(c) for c in checks if c["verdict"] == worst)


def _words(c):
    value = "unknown" if c["value"] is None else f"{c['value']:.3g}"
    return f"{c['meaning']} {value} (limit {c['limit']:.3g})"


def explained(solution, pixel_A):
    """`perrin.poses.stretches.explained` of a Solution, (f,)."""
    K = overlap(solution.profile, solution.profile, pixel_A)
    s = solution
    return stretches.explained(s.xyz_A, s.occupancy, K, s.rotation, s.amplitude, s.gain)


def mistakable(xyz_A, system):
    """(g, 3, 3) rotations after which refined atoms are hardly others: of their lattice, and of their shape."""
    own = [own_motions(xyz_A).rotation] if len(xyz_A) >= LEAST_ATOMS else []
    return np.concatenate([pattern_group(system), *own])


def off_main_branch(rotation, step_deg, gap=None, ratio=None, longest=100, mistaken=None, left=None):
    """(f,) bool, frames that are not on the branch of most frames, as far as jumps of orientation tell.

    The path falls into pieces between jumps. A jump beyond BRANCH_DEG changes the branch; where the path comes back,
    across a piece of at most `longest` frames, to where it would have been, the branch is the old one. A smaller jump
    is a weak frame or two, unless the piece of at most `longest` frames behind it explains less than its surroundings.
    A particle may be knocked, too: where nothing that it could be mistaken for makes the jump a step of its walk, and
    the frames on either side are explained, the particle has turned and the branch is the same.

    gap (f,) : frames since the one before; ratio (f,) : of `explained`
    mistaken : function without arguments, (g, 3, 3) of `mistakable`; None where every jump is a change of branch
    left : function of a slice of frames, the share of their power that is left unexplained; None: not asked for
    """
    frames = len(rotation)
    gap = np.ones(frames) if gap is None else np.asarray(gap, float)
    turned = np.degrees(angles_between(rotation[1:], rotation[:-1]))
    walk_deg = stretches.JUMP_FACTOR * step_deg * np.sqrt(gap[1:])
    at = stretches.jumps(rotation, step_deg, gap)
    if not len(at):
        return np.zeros(frames, bool)
    begin, end = np.r_[0, at], np.r_[at, frames]
    changes = turned[at - 1] > np.maximum(BRANCH_DEG, 2 * walk_deg[at - 1])
    if mistaken is not None and changes.any():
        alike = mistaken()
        knocked = [_knocked(rotation, row, walk_deg[row - 1], alike, left) for row in at[changes]]
        changes[changes] = ~np.array(knocked, bool)
    branch = np.r_[0, np.cumsum(changes)]
    time = np.cumsum(gap)
    for i in range(2, len(begin)):
        before = np.flatnonzero(end[: i - 1] >= end[i - 1] - longest)
        apart = time[begin[i]] - time[end[before] - 1]
        back = np.degrees(angles_between(rotation[end[before] - 1], rotation[begin[i]]))
        for j in before[back < stretches.JUMP_FACTOR * step_deg * np.sqrt(apart)]:
            branch[branch == branch[i]] = branch[j]
    weight = np.bincount(branch, end - begin)
    off = branch != np.argmax(weight)
    if ratio is not None:
        around = np.maximum(median_filter(ratio, min(301, 2 * (frames // 2) + 1), mode="nearest"), 1e-9)
        low = np.array([np.median((ratio / around)[b:e]) < stretches.LOW for b, e in zip(begin, end)])
        off |= low & (end - begin <= longest)
    return np.repeat(off, end - begin)


def _knocked(rotation, row, walk_deg, alike, left):
    """Whether the particle itself turned before a row, by more than a walk does.

    Both hands are tried: half a turn about the beam is what the other one shows.
    """
    before = equivalents(rotation[row - 1], alike)
    if np.degrees(angles_between(before, rotation[row])).min() < walk_deg:
        return False
    sides = slice(max(row - BESIDE, 0), row), slice(row, row + BESIDE)
    return left is None or all(left(side) <= LEFT for side in sides)


def solution_checks(solution, pixel_A, system, coverage=None, gap=None, images=None):
    """Checks of poses and atoms of a window; a list of dicts (name, value, limit, verdict, meaning).

    system : of the lattice; coverage : dict of `perrin.rounds.volume.coverage_of`; gap : of `off_main_branch`
    images : (f, n, n) of these frames, which say what a jump leaves unexplained; None: not asked for
    """
    o = solution.occupancy
    ratio = explained(solution, pixel_A) if len(o) else None
    left = None if images is None else left_in(images, pixel_A, solution)
    checks = [
        check("atoms", len(o), LEAST_ATOMS, LEAST_ATOMS, "number of atoms", above=True),
        check(
            "gain", solution.gain.mean(), LEAST_GAIN, LEAST_GAIN, "nats a frame above an empty frame", above=True
        ),
        check("occupancy_sd", o.std() if len(o) else np.nan, *OCCUPANCY_SD, "spread of occupancies"),
        check(
            "occupancy_min", o.min() if len(o) else np.nan, *OCCUPANCY_MIN, "smallest occupancy", above=True
        ),
        check(
            "jumps",
            off_main_branch(
                solution.rotation, solution.step_deg, gap, ratio, mistaken=partial(mistakable, solution.xyz_A, system),
                left=left,
            ).mean(),
            *JUMPS,
            "share of frames off the main branch of orientations",
        ),
    ]  # fmt: skip
    if coverage is not None:
        checks.append(
            {
                "name": "coverage",
                "value": float(coverage.get("fourier_coverage", 0.0)),
                "limit": 0.45,
                "verdict": coverage["verdict"],
                "meaning": "share of Fourier space seen",
            }
        )
    return checks
