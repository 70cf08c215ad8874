"""Whether to believe a solution: what separated good from failed ones, as checks with numbers and limits.

The signals and their levels are those of solved and of stuck particles: occupancies (near 1 in a right model, spread in
a blend of copies), jumps that bracket stretches on a wrong branch, the likelihood against that of a perfect fit.
"""

import numpy as np

from perrin.imaging.rotations import angles_between

ORDER = ("good", "doubtful", "failed")
LEAST_ATOMS = 13
LEAST_GAIN = 10.0  # nats a frame above an empty frame
OCCUPANCY_SD = 0.11, 0.20  # good below the first, failed above the second
OCCUPANCY_MIN = 0.35, 0.0
JUMPS = 0.06, 0.30  # share of frames within stretches between jumps
JUMP_FACTOR = 3.6


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


def overall(checks):
    """The worst verdict of a list of checks, and a sentence that names what decided."""
    worst = max((c["verdict"] for c in checks), key=ORDER.index, default="good")
    if worst == "good":
        return "good", "all checks passed: " + "; ".join(_words(c) for c in checks)
    return worst, "; ".join(_words(c) for c in checks if c["verdict"] == worst)


def _words(c):
    value = "unknown" if c["value"] is None else f"{c['value']:.3g}"
    return f"{c['meaning']} {value} (limit {c['limit']:.3g})"


def stretch_share(rotation, step_deg, longest=100):
    """Share of frames in stretches of at most `longest` frames between jumps (half as many at an end of the movie)."""
    turned = np.degrees(angles_between(rotation[1:], rotation[:-1]))
    jumps = np.flatnonzero(turned > JUMP_FACTOR * step_deg) + 1
    edges = np.r_[0, jumps, len(rotation)]
    length = np.diff(edges)
    limit = np.full(len(length), longest)
    limit[[0, -1]] = longest // 2
    suspect = length[length <= limit].sum() if len(jumps) else 0
    return float(max(suspect, len(jumps)) / max(len(rotation), 1))


def solution_checks(solution, coverage=None):
    """Checks of poses and atoms of a window; a list of dicts (name, value, limit, verdict, meaning)."""
    o = solution.occupancy
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
            stretch_share(solution.rotation, solution.step_deg),
            *JUMPS,
            "share of frames between jumps of orientation",
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
