"""Stage events: when each atom left, arrived or moved, to the frame, over the whole trajectory."""

import logging
from dataclasses import replace

import numpy as np

from perrin.files.atomic import read_json, whole
from perrin.files.models import file_origin_A, read_atoms
from perrin.files.stacks import stack_info
from perrin.files.tables import read_table, write_table
from perrin.imaging.profile import overlap
from perrin.windows import inputs
from perrin.windows.event_figure import write_figure
from perrin.windows.event_table import event_rows, identities, probabilities
from perrin.windows.evidence import assemble, collect, sum_overlaps
from perrin.windows.lives import thresholds
from perrin.windows.refit import refit_poses, relax_sites
from perrin.windows.solve import solve_lives
from perrin.windows.union import nearest_distance, unite

log = logging.getLogger("perrin")

EVENT_COLUMNS = {
    "atom": ("", "number of the atom in this trajectory, from 1; it keeps it when it moves"),
    "event": ("", "left, arrived or moved (left one site for a neighbouring one)"),
    "frame": ("frame", "first frame after the event"),
    "frame_low": ("frame", "95 % interval of that frame, lower end"),
    "frame_high": ("frame", "95 % interval of that frame, upper end"),
    "time_s": ("s", "time of that frame"),
    "x_A": (
        "A",
        "place that was left, or arrived at, along x; from the centre of voxel (0, 0, 0) of the map",
    ),
    "y_A": ("A", "the same along y"),
    "z_A": ("A", "the same along z"),
    "site": ("", "number of that site in evidence.npz, from 1"),
    "to_site": ("", "site that a moved atom went to; 0 for other events"),
    "to_x_A": ("A", "place that a moved atom went to, along x; empty for other events"),
    "to_y_A": ("A", "the same along y"),
    "to_z_A": ("A", "the same along z"),
    "manner": ("", "step; visit (came and went); absence (went and came back)"),
    "cn": ("", "atoms beside the site just before it was left, or just after it was taken"),
    "probability": (
        "",
        "that the event is real, from its evidence and the number of sites that might have had one",
    ),
    "lambda_nats": ("nat", "log-likelihood by which the weaker side of the change speaks for it"),
}
BOND = 1.2  # nearest-neighbour distances: between the first and the second shell of close-packed metals
TRACE_FRAMES = 10  # frames summed in evidence.npz


def events(
    *, clean, frames, tracks, windows, window_poses, window_atoms, profiles, model_jsons,
    events_csv, evidence, figure, frame_rate_hz, seed, false_alarm, inflation, rounds, hop_factor, interval_level,
):  # fmt: skip
    """Date every departure, arrival and move of one trajectory.

    clean, frames, tracks, windows : files of the stages before; window_poses, window_atoms, profiles,
        model_jsons : one file each a window
    events_csv (EVENT_COLUMNS), evidence (npz), figure (svg) : files to write
    false_alarm : expected number of false events in the movie; inflation : variance of the residuals over that of
        white noise; rounds : times that poses are refined against the atoms then present, where these differ
        from the window's
    hop_factor : a move goes at most so far, nearest-neighbour distances; interval_level : of all intervals

    evidence.npz: frame (f,), present (n, f) bool, xyz_A (n, 3) in the coordinates of files, atom (n,) bool (false:
    a site that no window's model holds), trace (n, blocks) nats for presence in blocks of 10 frames that begin
    with trace_frame.
    """
    (_, _, box_px), pixel_A = stack_info(clean)
    table = read_table(windows)
    failed = [read_json(path).get("verdict") == "failed" for path in model_jsons]
    models = [
        np.zeros((0, 3)) if bad else read_atoms(path, box_px, pixel_A).xyz_A
        for path, bad in zip(window_atoms, failed)
    ]
    lengths = (table["last_frame"] - table["first_frame"] + 1).to_numpy(int)
    union = unite(models, lengths)
    if union is None:
        _nothing(events_csv, evidence, figure, frame_rate_hz, "no window has a model: no events can be dated")
        return
    nearest = nearest_distance(union.xyz_A[np.flatnonzero(union.joined)[0]][union.atom])
    use = np.flatnonzero(union.joined)
    stack, R, s, amplitude, source = inputs.frames_with_poses(
        clean, frames, tracks, [window_poses[w] for w in use]
    )
    facts = {w: read_json(profiles[w]) for w in use}
    profile = inputs.profile_of(facts[max(use, key=lambda w: (lengths[w], -w))])
    walk = {w: facts[w]["step_deg"] for w in use}
    window = use[source]
    state, union, limits = find_lives(
        stack, R, s, amplitude, window, union, profile, walk, false_alarm, inflation, rounds
    )
    rows = event_rows(
        state, window, union.xyz_A, limits, interval_level, hop_factor * nearest, BOND * nearest
    )
    shown = _table(rows, state, union, limits, file_origin_A(box_px, pixel_A), frame_rate_hz)
    write_table(events_csv, shown, EVENT_COLUMNS)
    _write_evidence(evidence, state, union, file_origin_A(box_px, pixel_A))
    listed = [dict(zip(shown, values)) for values in zip(*shown.values())]
    left_out = [str(table["window"][w]) for w in np.flatnonzero(~union.joined)]
    sentence = f"{len(rows)} events among {state.present.shape[1]} sites; {false_alarm:g} false ones expected"
    if left_out:
        sentence += f"; without {', '.join(left_out)}"
    log.info("%s", sentence)
    write_figure(
        figure, listed, state.number, state.present.sum(1), frame_rate_hz,
        table["first_frame"].to_numpy(int)[1:], sentence,
    )  # fmt: skip


def find_lives(
    stack, rotation, shift_A, amplitude, window, union, profile, walk_deg, false_alarm, inflation, rounds
):
    """Lives of all sites of a trajectory: Evidence, the union with new sites moved, thresholds.

    stack : Frames; rotation (f, 3, 3), shift_A (f, 2), amplitude (f,): their poses; window (f,): of union.xyz_A
    union : Union; profile : one for all frames (that of the longest window: amplitudes are fitted anew)
    walk_deg : rms rotation a frame, for every window that has frames; others : as in events
    """
    R, s, pixel_A = rotation, shift_A, stack.pixel_A
    nearest = nearest_distance(union.xyz_A[np.flatnonzero(union.joined)[0]][union.atom])
    K = overlap(profile, profile, pixel_A)
    limits = thresholds(union.xyz_A.shape[1], len(stack), false_alarm, inflation)
    modelled = (union.member >= 0)[window].astype(np.float32)
    b, u = collect(stack.images, pixel_A, profile, window, union.xyz_A, R, s)
    state = assemble(stack.number, b, u, modelled, amplitude, K, np.median([walk_deg[w] for w in window]))
    solve_lives(state, limits, lasting=True)
    empty = np.flatnonzero(~union.atom)
    for _ in range(rounds):
        differs = np.abs(state.present - modelled).sum(1) >= 1
        if not differs.any():
            break
        arrived = empty[(state.present[:, empty] > 0.5).any(0)]
        images = (stack.images, pixel_A, profile, K, window)
        xyz = relax_sites(*images, union.xyz_A, state, R, s, arrived, 0.8 * nearest)
        union = replace(union, xyz_A=xyz)
        R, s = refit_poses(*images, xyz, state, R, s, walk_deg, stack.box_A, stack.gap, which=differs)
        if len(arrived):
            # what has moved is read again in all frames, not only where poses changed
            state.b[:, arrived], state.u[:, arrived] = collect(
                stack.images, pixel_A, profile, window, xyz[:, arrived], R, s
            )
        sum_overlaps(state)
        modelled = state.present.copy()
        solve_lives(state, limits, lasting=True)
    return state, union, limits


def _table(rows, state, union, limits, origin_A, frame_rate_hz):
    """Columns of events.csv."""
    number = state.number
    first = np.array([number[one["index"]] for one in rows], int)
    # a change between two accepted frames may have come at any frame between them
    low = np.array([number[one["low"] - 1] + 1 for one in rows], int)
    high = np.array([number[one["high"]] for one in rows], int)
    here = np.array([union.xyz_A[one["window"], one["site"]] for one in rows]).reshape(-1, 3) + origin_A
    there = np.full((len(rows), 3), np.nan)
    for i, one in enumerate(rows):
        if one["to_site"] is not None:
            there[i] = union.xyz_A[one["window"], one["to_site"]] + origin_A
    nats = np.array([one["nats"] for one in rows], float)
    columns = {
        "atom": np.array(identities(rows, state.present.shape[1]), int),
        "event": np.array([one["event"] for one in rows], object),
        "frame": first,
        "frame_low": low,
        "frame_high": high,
        "time_s": first / frame_rate_hz,
    }
    columns |= {f"{axis}_A": here[:, i] for i, axis in enumerate("xyz")}
    columns["site"] = np.array([one["site"] + 1 for one in rows], int)
    columns["to_site"] = np.array([0 if one["to_site"] is None else one["to_site"] + 1 for one in rows], int)
    columns |= {f"to_{axis}_A": there[:, i] for i, axis in enumerate("xyz")}
    columns["manner"] = np.array([one["manner"] for one in rows], object)
    columns["cn"] = np.array([one["cn"] for one in rows], int)
    columns["probability"] = probabilities(nats, state.present.shape[1], limits.inflation)
    columns["lambda_nats"] = nats
    return columns


def _write_evidence(path, state, union, origin_A):
    """Lives and evidence of all sites, for pictures and for whoever wants to look."""
    ratios = state.ratios()
    starts = np.arange(0, len(ratios), TRACE_FRAMES)
    with whole(path) as temporary:
        np.savez_compressed(
            temporary,
            frame=state.number,
            used=state.used,
            present=(state.present > 0.5).T,
            xyz_A=union.xyz_A[np.flatnonzero(union.joined)[0]] + origin_A,
            atom=union.atom,
            trace=np.add.reduceat(ratios, starts, axis=0).T if len(starts) else ratios.T,
            trace_frame=state.number[starts],
        )


def _nothing(events_csv, evidence, figure, frame_rate_hz, sentence):
    """Outputs without an event, and the sentence that says why."""
    log.info("%s", sentence)
    empty = {name: np.array([], dtype=kind) for name, kind in zip(EVENT_COLUMNS, _KINDS)}
    write_table(events_csv, empty, EVENT_COLUMNS)
    with whole(evidence) as temporary:
        np.savez_compressed(
            temporary, frame=np.zeros(0, int), used=np.zeros(0, bool), present=np.zeros((0, 0), bool),
            xyz_A=np.zeros((0, 3)), atom=np.zeros(0, bool), trace=np.zeros((0, 0), np.float32),
            trace_frame=np.zeros(0, int),
        )  # fmt: skip
    write_figure(figure, [], np.zeros(0, int), [], frame_rate_hz, sentence=sentence)


_KINDS = [int, object, int, int, int, float, *[float] * 3, int, int, *[float] * 3, object, int, float, float]
