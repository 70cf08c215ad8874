"""Stage segment: the windows of time in which the structure holds still, and the evidence for their boundaries."""

import logging

import numpy as np

from perrin.files.atomic import read_json, write_json
from perrin.files.tables import read_table, write_table
from perrin.windows import inputs
from perrin.windows.inputs import row_of
from perrin.windows.published_curve import correlation_steps
from perrin.windows.split import windows_by_atoms

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
            row_of(a, z, a, a, "one window, since the time-averaged model failed") for a, z in [(first, last)]
        ]
    elif method == "published":
        steps, more = correlation_steps(number, curves["correlation"], min_frames, false_alarm, seed)
        stops = [*[step[0] for step in steps[1:]], last + 1]
        rows = [row_of(step[0], stop - 1, *step[1:]) for step, stop in zip(steps, stops)]
        record |= more
    elif method == "equal":
        rows, more = (
            equal_windows(number, equal_frames),
            {"why": f"windows of {equal_frames} frames, as asked"},
        )
        record |= more
    else:
        rows, more, found = windows_by_atoms(
            clean, frames, tracks, poses_csv, sites, facts,
            min_frames, least_atoms, false_alarm, inflation, rounds, frame_rate_hz,
        )  # fmt: skip
        record |= more
        curves |= {name: _spread(number, found["number"], found[name]) for name in found if name != "number"}
        curves["used"] = np.nan_to_num(_exactly(number, found["number"], found["used"])).astype(int)
    if chosen:
        rows = [row_of(a, z, a, a, "set by a person") for a, z in chosen]
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


def equal_windows(number, equal_frames):
    """Rows of windows as long as asked; the rest goes to the last one."""
    count = max(1, len(number) // equal_frames)
    firsts = [int(number[0]) + i * equal_frames for i in range(count)]
    stops = [*firsts[1:], int(number[-1]) + 1]
    return [row_of(a, z - 1, a, a, f"equal windows of {equal_frames} frames") for a, z in zip(firsts, stops)]


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
