"""How much memory and time a stage's job needs, from the frames that it holds and the size of their boxes.

What a job holds and does grows with its stack: frames x box x box numbers of four bytes, those of the window for the
stages of a window. Constants are fitted to measured peaks and CPU seconds (one thread) of eight movies of 1000 to 2400
frames, boxes of 96 and 128 px: `benchmarks/needs.py` sets both side by side, docs/results-running.md has its table.
"""

from dataclasses import dataclass
from functools import cache
from math import ceil

from perrin.files.errors import InputError
from perrin.files.movies import open_frames
from perrin.files.stacks import stack_info

MEMORY_MARGIN = 1.5  # asked over predicted
TIME_MARGIN = 5  # the same of time: slower and shared nodes, fewer threads that help
LAUNCH_MB = 400  # of the two Snakemakes, 175 MB each, that a cluster's job holds besides the stage
START_S = 120  # until a job computes: imports over a network's file system, compiling once
FURTHER_MB = 140  # of each further particle that is followed in the same reading of a movie
BOX_PX = 128  # where neither stack nor sheet says
FRAMES = 10_000  # where no movie can be read yet
UNREADABLE = (InputError, OSError, ValueError)  # what a stage will complain of in its own words


@dataclass(frozen=True)
class Need:
    """Memory [MB] and CPU time [s] of a stage: what it takes anyway, and for each MB of its stack."""

    base_mb: float
    per_mb: float
    base_s: float
    s_per_mb: float


NEEDS = {
    "track_facts": Need(200, 0, 2, 0),
    "track": Need(750, 0, 5, 0.25),
    "track_together": Need(750, 0, 5, 0.25),
    "subtract_graphene": Need(215, 0.6, 1, 0.08),
    "denoise": Need(230, 2.8, 1, 0.12),
    "classes2d": Need(310, 3.2, 3, 0.25),
    "average3d": Need(1000, 2, 15, 3.2),
    "segment": Need(410, 2, 5, 0.25),
    "window3d": Need(360, 13, 3, 1.0),
    "model": Need(600, 5, 10, 1.0),
    "events": Need(410, 2, 3, 0.1),
    "statistics": Need(480, 0, 12, 0),
    "dynamics": Need(270, 0.5, 3, 0.02),
}
WINDOW_STAGES = ("window3d", "model", "statistics")


def stack_mb(frames, box_px):
    """Size of so many boxes in memory, MB."""
    return 4e-6 * frames * box_px**2


def memory_mb(stage, size_mb, attempt=1, particles=1):
    """Memory to ask for [MB], whole: LAUNCH_MB and the prediction with its margin, half as much more at each attempt.

    size_mb : of the job's stack; particles : that are followed in one reading of a movie
    """
    need = NEEDS[stage]
    predicted = need.base_mb + need.per_mb * size_mb + FURTHER_MB * (particles - 1)
    return ceil(LAUNCH_MB + predicted * MEMORY_MARGIN * (1 + 0.5 * (attempt - 1)))


def runtime_min(stage, size_mb, attempt=1, particles=1):
    """Time to ask for [minutes], whole: the prediction with its margin, as much again at each further attempt."""
    need = NEEDS[stage]
    predicted = (need.base_s + need.s_per_mb * size_mb) * particles
    return ceil((START_S + TIME_MARGIN * predicted) / 60 * attempt)


def frames_and_box(stack, movie, first_frame=None, last_frame=None, box_px=None):
    """(frames, edge of the box in px) of a trajectory, from the best source that there is by now; never an error.

    stack : path of its boxes, which say both once they are cut; movie : path; the rest: as in the sample sheet
    """
    try:
        (frames, box, _), _ = stack_info(stack)
        return frames, box
    except UNREADABLE:
        pass
    if last_frame is None:
        last_frame = frames_of_movie(str(movie)) - 1
    return max(last_frame - (first_frame or 0) + 1, 1), box_px or BOX_PX


@cache
def frames_of_movie(path):
    """Frames of a movie, from its header; FRAMES where there is none that can be read: track says why."""
    try:
        return open_frames(path).shape[0]
    except UNREADABLE:
        return FRAMES
