"""Windows from the lives of single atoms in the time-averaged model, and what is said of each boundary.

The average is a blend: atoms that leave have occupancies between 0 and 1, and poses were refined against them. So lives
are found first, then poses and new sites refined against what was there, and lives found again.
"""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from perrin.atoms.proposals import empty_sites
from perrin.files.models import read_atoms
from perrin.files.stacks import stack_info
from perrin.imaging.profile import overlap
from perrin.windows import changepoints, inputs
from perrin.windows.evidence import assemble, collect, sum_overlaps
from perrin.windows.inputs import row_of
from perrin.windows.lives import changes_of, thresholds
from perrin.windows.refit import refit_poses, relax_sites
from perrin.windows.solve import solve_lives
from perrin.windows.union import nearest_distance

MOST_UNUSED = 0.2  # share of mis-posed frames above which boundaries are doubtful
RESTLESS = 0.3  # changes within a window, for each of its atoms, above which they are no longer believed


def windows_by_atoms(
    clean, frames, tracks, poses_csv, sites, facts, min_frames, least_atoms, false_alarm, inflation, rounds,
    frame_rate_hz,
):  # fmt: skip
    """Rows of windows, the record of the tests, and curves over the accepted frames, from files."""
    stack, R, s, amplitude, _ = inputs.frames_with_poses(clean, frames, tracks, [poses_csv])
    (_, _, box_px), pixel_A = stack_info(clean)
    model = read_atoms(sites, box_px, pixel_A)
    return find_windows(
        stack, R, s, amplitude, model.xyz_A, model.occupancy, inputs.profile_of(facts["profile"]), facts["step_deg"],
        inputs.trajectory_frames(tracks), min_frames, least_atoms, false_alarm, inflation, rounds, frame_rate_hz,
    )  # fmt: skip


def find_windows(
    stack, rotation, shift_A, amplitude, xyz_A, occupancy, profile, step_deg, number, min_frames, least_atoms,
    false_alarm, inflation, rounds, frame_rate_hz,
):  # fmt: skip
    """Rows of windows, the record of the tests, and curves over the accepted frames.

    stack : Frames; rotation (f, 3, 3), shift_A (f, 2), amplitude (f,): their poses
    xyz_A (n, 3), occupancy (n,): the time-averaged model, origin the middle of the box
    profile : Profile of one atom; step_deg : rms rotation a frame; number : all frames of the trajectory
    others : as in segment
    """
    R, s, pixel_A = rotation, shift_A, stack.pixel_A
    if len(stack) < 2 or len(xyz_A) < 4:
        record = {
            "verdict": "failed",
            "why": f"{len(stack)} poses and {len(xyz_A)} atoms are too few to see changes",
        }
        row = row_of(number[0], number[-1], number[0], number[0], "one window: nothing to test with")
        return [row], record, {"number": stack.number, "used": np.zeros(len(stack), int)}
    K = overlap(profile, profile, pixel_A)
    nearest = nearest_distance(xyz_A)
    empty = empty_sites(xyz_A, nearest).reshape(-1, 3)
    known = len(xyz_A)
    xyz = np.concatenate([xyz_A, empty])[None]
    level = np.concatenate([np.clip(occupancy, 0, 1), np.zeros(len(empty))])
    limits = thresholds(xyz.shape[1], len(stack), false_alarm, inflation)
    one = np.zeros(len(stack), int)
    b, u = collect(stack.images, pixel_A, profile, one, xyz, R, s)
    state = assemble(stack.number, b, u, np.tile(level, (len(stack), 1)), amplitude, K, step_deg)
    explained = solve_lives(state, limits)
    new = np.arange(known, xyz.shape[1])
    for _ in range(rounds):
        # empty sites that turn out to hold an atom lie where the lattice goes on, a few tenths off
        moved = new[state.present[:, new].any(0)]
        xyz = relax_sites(stack.images, pixel_A, profile, K, one, xyz, state, R, s, moved, 0.8 * nearest)
        xyz, state = _grow(xyz, state, nearest)
        limits = thresholds(xyz.shape[1], len(stack), false_alarm, inflation)
        new = np.arange(known, xyz.shape[1])
        R, s = refit_poses(
            stack.images, pixel_A, profile, K, one, xyz, state, R, s, [step_deg],
            stack.box_A, stack.gap,
        )  # fmt: skip
        sum_overlaps(state)
        explained = solve_lives(state, limits)
    ratios = state.ratios()
    sure = state.inflation(inflation, atom=True) * limits.one
    least = changepoints.penalty_nats(state.information, min_frames, least_atoms, sure, state.persistence[1])
    firsts = changepoints.segment_lives(ratios, min_frames, least)
    boundaries, gone = changepoints.judge(ratios, firsts, sure, least_atoms, inflation)
    rows, record = _describe(number, state, boundaries, gone, frame_rate_hz)
    record |= {
        "penalty_nats": least,
        "threshold_nats": sure,
        "nats_per_atom_and_frame": float(state.information.mean() / 2),
        "response": state.response.as_record(),
        "persistence": state.persistence,
        "sites": int(xyz.shape[1]),
        "frames": len(stack),
        "frames_used": int(state.used.sum()),
        "false_alarm": false_alarm,
    }
    record |= _doubts(record["drift"], state.used)
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
        rows.append(row_of(start[0], stop - 1, *start[1:]))
        here = (accepted >= start[0]) & (accepted < stop)
        lives = state.present[here]
        # atoms that changed at once at the window's ends are no drift, whatever side of the end their date fell on
        ends = [
            one
            for one in boundaries
            if accepted[one.at] in (start[0], stop) and 2 * one.together >= one.changed
        ]
        counted = [ids for one in ends for ids in (one.left, one.arrived)]
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
    count = len(boundaries)
    why = (
        f"{count} boundar{'y holds' if count == 1 else 'ies hold'}"
        if count
        else "no boundary: no change of enough atoms"
    )
    return rows, {"why": why, "tests": tests, "drift": drift}


def _doubts(drift, used):
    """Verdict and sentence where poses are too bad for boundaries to be believed, else nothing."""
    unused = 1 - used.mean()
    if unused > MOST_UNUSED:
        why = f"{100 * unused:.0f} % of the frames do not fit the model at their poses"
        return {"verdict": "doubtful", "why": why}
    for one in drift:
        if one["changes_within"] > RESTLESS * max(one["atoms"] or 0, 1):
            changes = (
                f"{one['changes_within']} changes of {one['atoms'] or 0:.0f} atoms within {one['window']}"
            )
            return {"verdict": "doubtful", "why": f"{changes}: its poses probably disagree with each other"}
    return {}


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
