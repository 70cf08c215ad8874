"""Stage segment: the windows of time in which the structure holds still, and the evidence for their boundaries."""

import logging
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.proposals import empty_sites
from perrin.files.atomic import read_json, write_json
from perrin.files.models import read_atoms
from perrin.files.stacks import stack_info
from perrin.files.tables import read_table, write_table
from perrin.imaging.profile import overlap
from perrin.windows import changepoints, inputs
from perrin.windows.evidence import assemble, collect, sum_overlaps
from perrin.windows.lives import changes_of, thresholds
from perrin.windows.published_curve import correlation_steps
from perrin.windows.refit import refit_poses, relax_sites
from perrin.windows.solve import solve_lives
from perrin.windows.union import nearest_distance

log = logging.getLogger("perrin")

WINDOW_COLUMNS = {
    "window": ("", "name of the window: f, first frame - last frame"),
    "first_frame": ("frame", "first frame of the window"),
    "last_frame": ("frame", "last frame of the window, which belongs to it"),
    "first_low": ("frame", "95 % interval of the first frame, lower end"),
    "first_high": ("frame", "95 % interval of the first frame, upper end"),
    "reason": ("", "why the window begins there"),
}
EVIDENCE_COLUMNS = {
    "frame": ("", "frame of the movie, from 0"),
    "time_s": ("s", "time of the frame"),
    "used": ("", "1 where the frame has a pose that fits and counts in the tests, else 0"),
    "correlation": ("", "correlation of the frame with its reprojection of the time-averaged map"),
    "explained": ("", "share of the fit that the movie's median amplitude promises, mean of 15 frames"),
    "gain_nats": ("nat", "log-likelihood that one boundary before this frame gains over a single window"),
    "gain_within_nats": ("nat", "log-likelihood that a further boundary here gains within its window"),
    "n_atoms": ("", "atoms present, each dated by itself"),
}


def segment(
    *, clean, frames, tracks, poses_csv, sites, lattice, correlation, windows, evidence, tree,
    frame_rate_hz, segments_override, seed, method, min_frames, least_atoms, false_alarm, inflation, rounds,
    equal_frames,
):  # fmt: skip
    """Choose the windows of one trajectory.

    clean, frames, tracks, poses_csv, sites, lattice, correlation : files of the stages before
    windows (WINDOW_COLUMNS), evidence (EVIDENCE_COLUMNS), tree (json) : files to write
    frame_rate_hz; segments_override : tsv of windows that are used as they are, or None
    method : "atoms" (lives of single atoms and exact segmentation), "published" (steps of the correlation
        curve), "equal" (windows of equal_frames)
    min_frames : accepted frames of the shortest window; least_atoms : fewer changes make no boundary
    false_alarm : expected number of false boundaries in a movie (published: their probability)
    inflation : variance of the residuals over that of white noise; rounds : times that poses are refined anew
    """
    number = inputs.trajectory_frames(tracks)
    first, last = int(number[0]), int(number[-1])
    curves = {"frame": number, "time_s": number / frame_rate_hz}
    curves["correlation"] = _over_frames(number, correlation, "correlation")
    facts = read_json(lattice)
    record = {"verdict": "good", "why": "", "method": method, "first_frame": first, "last_frame": last}
    chosen = None if segments_override is None else inputs.read_override(segments_override, first, last)
    if facts.get("verdict") == "failed":
        record |= {
            "verdict": "failed",
            "why": f"the time-averaged model failed: {facts.get('why', '')}".strip(),
        }
        rows = [
            _row(a, z, a, a, "one window, since the time-averaged model failed") for a, z in [(first, last)]
        ]
    elif method == "published":
        steps, more = correlation_steps(number, curves["correlation"], min_frames, false_alarm, seed)
        stops = [*[step[0] for step in steps[1:]], last + 1]
        rows = [_row(step[0], stop - 1, *step[1:]) for step, stop in zip(steps, stops)]
        record |= more
    elif method == "equal":
        rows, more = _equal(number, equal_frames), {"why": f"windows of {equal_frames} frames, as asked"}
        record |= more
    else:
        rows, more, found = _by_atoms(
            clean, frames, tracks, poses_csv, sites, facts,
            min_frames, least_atoms, false_alarm, inflation, rounds, frame_rate_hz,
        )  # fmt: skip
        record |= more
        curves |= {name: _spread(number, found["number"], found[name]) for name in found if name != "number"}
        curves["used"] = np.nan_to_num(_exactly(number, found["number"], found["used"])).astype(int)
    if chosen:
        rows = [_row(a, z, a, a, "set by a person") for a, z in chosen]
        record["method"] = "override"
        if record["verdict"] != "failed":
            record |= {"verdict": "good", "why": "windows set by a person, used as they are"}
    record["windows"] = rows
    for row in rows:
        log.info("%s: %s", row["window"], row["reason"])
    write_table(windows, {name: [row[name] for row in rows] for name in WINDOW_COLUMNS}, WINDOW_COLUMNS)
    blank = {name: np.full(len(number), np.nan) for name in EVIDENCE_COLUMNS}
    blank["used"] = np.zeros(len(number), int)
    blank |= curves
    write_table(evidence, {name: blank[name] for name in EVIDENCE_COLUMNS}, EVIDENCE_COLUMNS)
    write_json(tree, record)


def _row(first, last, low, high, reason):
    return {
        "window": inputs.window_name(first, last),
        "first_frame": int(first),
        "last_frame": int(last),
        "first_low": int(low),
        "first_high": int(high),
        "reason": reason,
    }


def _by_atoms(
    clean, frames, tracks, poses_csv, sites, facts, min_frames, least_atoms, false_alarm, inflation, rounds,
    frame_rate_hz,
):  # fmt: skip
    """Rows of windows, the record of the tests, and curves over the accepted frames."""
    stack, R, s, amplitude, _ = inputs.frames_with_poses(clean, frames, tracks, [poses_csv])
    (_, _, box_px), pixel_A = stack_info(clean)
    number = inputs.trajectory_frames(tracks)
    model = read_atoms(sites, box_px, pixel_A)
    if len(stack) < 2 or len(model) < 4:
        record = {
            "verdict": "failed",
            "why": f"{len(stack)} poses and {len(model)} atoms are too few to see changes",
        }
        row = _row(number[0], number[-1], number[0], number[0], "one window: nothing to test with")
        return [row], record, {"number": stack.number, "used": np.zeros(len(stack), int)}
    profile = inputs.profile_of(facts["profile"])
    K = overlap(profile, profile, pixel_A)
    nearest = nearest_distance(model.xyz_A)
    empty = empty_sites(model.xyz_A, nearest).reshape(-1, 3)
    xyz = np.concatenate([model.xyz_A, empty])[None]
    level = np.concatenate([np.clip(model.occupancy, 0, 1), np.zeros(len(empty))])
    limits = thresholds(xyz.shape[1], len(stack), false_alarm, inflation)
    one = np.zeros(len(stack), int)
    b, u = collect(stack.images, pixel_A, profile, one, xyz, R, s)
    state = assemble(stack.number, b, u, np.tile(level, (len(stack), 1)), amplitude, K)
    explained = solve_lives(state, limits)
    new = np.arange(len(model), xyz.shape[1])
    for _ in range(rounds):
        # empty sites that turn out to hold an atom lie where the lattice goes on, a few tenths off
        moved = new[state.present[:, new].any(0)]
        xyz = relax_sites(stack.images, pixel_A, profile, K, one, xyz, state, R, s, moved)
        xyz, state = _grow(xyz, state, nearest)
        limits = thresholds(xyz.shape[1], len(stack), false_alarm, inflation)
        new = np.arange(len(model), xyz.shape[1])
        R, s = refit_poses(
            stack.images, pixel_A, profile, K, one, xyz, state, R, s, [facts["step_deg"]],
            stack.box_A, stack.gap,
        )  # fmt: skip
        sum_overlaps(state)
        explained = solve_lives(state, limits)
    ratios = state.ratios()
    least = changepoints.penalty_nats(state.information, min_frames, least_atoms, inflation * limits.one)
    firsts = changepoints.segment_lives(ratios, min_frames, least)
    boundaries, gone = changepoints.judge(ratios, firsts, inflation * limits.one, least_atoms, inflation)
    rows, record = _describe(number, state, boundaries, gone, frame_rate_hz)
    record |= {
        "penalty_nats": least,
        "threshold_nats": inflation * limits.one,
        "nats_per_atom_and_frame": float(state.information.mean() / 2),
        "sites": int(xyz.shape[1]),
        "frames": len(stack),
        "frames_used": int(state.used.sum()),
        "false_alarm": false_alarm,
    }
    if state.used.mean() < 0.8:
        share = 100 * (1 - state.used.mean())
        record |= {
            "verdict": "doubtful",
            "why": f"{share:.0f} % of the frames do not fit the model at their poses",
        }
    total = changepoints.cumulative(ratios)
    edges = [0, *[one.at for one in boundaries], len(ratios)]
    within = [changepoints.split_worth(total, a, z)[: z - a] for a, z in zip(edges[:-1], edges[1:])]
    record["tree"] = _tree(total, edges, stack.number)
    found = {
        "number": stack.number,
        "used": state.used.astype(int),
        "explained": explained,
        "gain_nats": changepoints.split_worth(total, 0, len(ratios))[:-1],
        "gain_within_nats": np.concatenate(within),
        "n_atoms": state.present.sum(1),
    }
    return rows, record, found


def _grow(xyz_A, state, nearest_A):
    """Empty sites beside what has been found as well: a group of atoms that left may be several layers deep.

    Their statistics are read with the refit that follows.
    """
    known = xyz_A[0]
    ever = state.present.any(0)
    places = empty_sites(known[ever], nearest_A).reshape(-1, 3)
    if len(places):
        places = places[cKDTree(known).query(places)[0] > 0.8 * nearest_A]
    wider = ((0, 0), (0, len(places)))
    state = replace(
        state,
        b=np.pad(state.b, wider),
        u=np.pad(state.u, (*wider, (0, 0))),
        m=np.pad(state.m, wider),
        present=np.pad(state.present, wider),
    )
    return np.concatenate([xyz_A, places[None]], axis=1), state


def _describe(number, state, boundaries, gone, frame_rate_hz):
    """Rows of windows, and the record of every test."""
    accepted = state.number
    rows, tests = [], []
    starts = [(int(number[0]), int(number[0]), int(number[0]), "start of the trajectory")]
    for one in boundaries:
        first = int(accepted[one.at])
        low, high = int(accepted[one.low - 1]) + 1, int(accepted[min(one.high, len(accepted) - 1)])
        parts = [
            f"{len(ids)} {word}" for ids, word in [(one.left, "left"), (one.arrived, "arrived")] if len(ids)
        ]
        manner = "at once" if 2 * one.together >= one.changed else "one after another"
        starts.append((first, min(low, first), max(high, first), f"atoms: {', '.join(parts)}, {manner}"))
    for one, kept in [*[(one, True) for one in boundaries], *[(one, False) for one in gone]]:
        tests.append(
            {
                "frame": int(accepted[one.at]),
                "gain_nats": one.gain,
                "left": len(one.left),
                "arrived": len(one.arrived),
                "at_once": one.together,
                "kept": kept,
                "why": "enough atoms changed" if kept else "too few atoms changed for certain",
            }
        )
    drift = []
    stops = [*[start[0] for start in starts[1:]], int(number[-1]) + 1]
    for start, stop in zip(starts, stops):
        rows.append(_row(start[0], stop - 1, *start[1:]))
        here = (accepted >= start[0]) & (accepted < stop)
        lives = state.present[here]
        # sites that the window's own boundaries count have their dates near these, on either side
        counted = [
            ids
            for one in boundaries
            if accepted[one.at] in (start[0], stop)
            for ids in (one.left, one.arrived)
        ]
        others = np.setdiff1d(np.arange(lives.shape[1]), np.concatenate(counted) if counted else [])
        changes = sum(len(changes_of(lives[:, j])) for j in others) if len(lives) else 0
        seconds = (stop - start[0]) / frame_rate_hz
        drift.append(
            {
                "window": rows[-1]["window"],
                "atoms": float(lives.sum(1).mean()) if len(lives) else None,
                "changes_within": int(changes),
                "changes_within_per_s": changes / seconds,
            }
        )
    why = f"{len(boundaries)} boundaries hold" if boundaries else "no boundary: no change of enough atoms"
    return rows, {"why": why, "tests": tests, "drift": drift}


def _tree(total, edges, number):
    """The final boundaries as successive splits, the strongest first: nested {first_frame, ..., parts}."""
    first, stop = edges[0], edges[-1]
    node = {"first_frame": int(number[first]), "last_frame": int(number[stop - 1])}
    if len(edges) > 2:
        worth = changepoints.split_worth(total, first, stop)
        best = max(range(1, len(edges) - 1), key=lambda i: worth[edges[i] - first])
        node |= {"split_at": int(number[edges[best]]), "gain_nats": float(worth[edges[best] - first])}
        node["parts"] = [_tree(total, edges[: best + 1], number), _tree(total, edges[best:], number)]
    return node


def _equal(number, equal_frames):
    """Rows of windows as long as asked; the rest goes to the last one."""
    count = max(1, len(number) // equal_frames)
    firsts = [int(number[0]) + i * equal_frames for i in range(count)]
    stops = [*firsts[1:], int(number[-1]) + 1]
    return [_row(a, z - 1, a, a, f"equal windows of {equal_frames} frames") for a, z in zip(firsts, stops)]


def _over_frames(number, table, column):
    """A column of a table by frame, spread over all frames; NaN where there is none."""
    found = read_table(table)
    return _exactly(number, found["frame"].to_numpy(int), found[column].to_numpy(float))


def _exactly(number, frames, values):
    """(f,) values at the frames that have one, NaN elsewhere."""
    out = np.full(len(number), np.nan)
    if len(frames):
        at = np.searchsorted(number, frames)
        out[at] = values
    return out


def _spread(number, frames, values):
    """(f,) values at all frames: those of the accepted frame before, or of the first."""
    at = np.clip(np.searchsorted(frames, number, side="right") - 1, 0, len(frames) - 1)
    return np.asarray(values, float)[at]
