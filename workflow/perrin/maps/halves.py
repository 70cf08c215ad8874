"""Two halves of the frames, for maps that share no noise."""

import numpy as np

from perrin.files.errors import InputError

MODES = ("blocks", "alternate")


def half_sets(frames, mode="blocks", block=50):
    """Which frames belong to the first half and which to the second.

    frames : (f,) int, frame numbers in increasing order (rejected ones missing); or how many, where none is
    mode : "blocks", contiguous blocks of `block` frames in turn: neighbours in time share their pose errors,
        their background and the denoiser's mistakes, so only blocks are nearly independent (method notes 6.5);
        "alternate", every second frame, as published
    returns two (f,) bool arrays
    """
    if mode not in MODES:
        raise InputError(f"half_sets has no mode {mode!r}: blocks or alternate")
    frames = np.arange(frames) if np.ndim(frames) == 0 else np.asarray(frames)
    if mode == "alternate":
        second = np.arange(len(frames)) % 2 == 1
    else:
        second = (frames - frames[0]) // block % 2 == 1 if len(frames) else np.zeros(0, bool)
        if len(frames) > 1 and not second.any():
            # fewer frames than a block: half of them is the longest block that leaves two
            second = np.arange(len(frames)) >= len(frames) // 2
    return ~second, second
