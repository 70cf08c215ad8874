"""Stage denoise: frames with less noise, for eyes, for quality, and for the published way of finding poses."""

import logging

import numpy as np
import pandas as pd

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info, stack_writer
from perrin.files.tables import write_table
from perrin.frames import kpca, shrinkage, size

log = logging.getLogger("perrin")

METHODS = ("shrinkage", "exact", "published", "program", "ridge", "off")

COLUMNS = {
    "part": ("", "0; with halves, 0 and 1 count the two halves that were denoised apart"),
    "component": ("", "number of the component, from 1, by decreasing eigenvalue"),
    "eigenvalue": (
        "",
        "eigenvalue of the frames' scatter matrix (kernel methods: of unit-normalised frames)",
    ),
    "weight": ("", "factor with which the component enters the output; 0: left out"),
    "noise_edge": ("", "largest eigenvalue that noise alone gives (empty where the method does not ask)"),
}


def halves_of(count, block_frames):
    """Which half each frame belongs to, (count,) of 0 and 1: contiguous blocks by turns."""
    return (np.arange(count) // block_frames) % 2


def disc_radius_A(frames, pixel_A, margin_A=3.0):
    """Radius about the box centre that holds the particle, from at most 500 of the frames (f, n, n)."""
    some = frames[:: max(1, len(frames) // 500)]
    limit = 0.45 * frames.shape[-1] * pixel_A
    found = size.diameter(some, pixel_A, np.zeros((len(some), 2)), groups=4)
    if not found["height_sd"] > 5:
        return limit
    return min(found["extent_A"] / 2 + margin_A, limit)


def denoise(
    *,
    clean,
    denoised,
    components,
    method,
    n_components,
    halves,
    half_block_frames,
    radius_A,
    highest_A1,
    time_reach_frames,
    seed,
    stored="float32",
):
    """Denoise a stack of frames.

    clean : mrcs, noise 1; denoised : mrcs, float32 or float16 as stored says; components : csv
    method : one of METHODS (`kpca`, `shrinkage`); n_components : of the kernel methods, at most frames - 1
    halves : denoise two halves of the frames apart (blocks of half_block_frames by turns), so that
    they stay independent
    radius_A, highest_A1 : disc and band of `shrinkage`; radius 0: 3 A beyond the particle, as its lattice shows it;
    time_reach_frames : neighbours in time that `shrinkage` learns from
    Needs the stack in memory twice: 8 bytes for each pixel of each frame.
    """
    if method not in METHODS:
        raise InputError(f"denoise: method is '{method}', it must be one of {', '.join(METHODS)}")
    (count, n, _), pixel_A = stack_info(clean)
    frames = read_stack(clean)
    half = halves_of(count, half_block_frames) if halves else np.zeros(count, int)
    tables = []
    for part in np.unique(half):
        own = np.flatnonzero(half == part)
        whole = len(own) == count
        given = frames if whole else frames[own]
        if len(own) < 3 or method == "off":
            result, values, weights, edge = given, np.zeros(0), np.zeros(0), np.nan
        elif method == "shrinkage":
            radius = radius_A if radius_A > 0 else disc_radius_A(given, pixel_A)
            result, values, weights, edge = shrinkage.shrink(
                given, pixel_A, radius, highest_A1, seed=seed, time_reach=time_reach_frames
            )
        else:
            flat = given.reshape(len(own), -1)
            edge = np.nan
            if method == "exact":
                result, values, weights = kpca.exact(flat, n_components, seed)
            elif method == "ridge":
                result, values, weights = kpca.ridge(flat, n_components, seed=seed)
            else:
                weighting = "program" if method == "program" else "projector"
                result, values, weights = kpca.preimage_iteration(flat, n_components, weighting, seed=seed)
            result = result.reshape(-1, n, n)
        log.info("denoise: %d frames, %d of %d components kept", len(own), (weights > 0).sum(), len(weights))
        if whole:
            frames = result
        else:
            frames[own] = result
        tables.append(
            pd.DataFrame(
                {
                    "part": int(part),
                    "component": np.arange(1, len(values) + 1),
                    "eigenvalue": values,
                    "weight": weights,
                    "noise_edge": edge,
                }
            )
        )
    with stack_writer(denoised, (count, n, n), pixel_A, stored) as out:
        for a in range(0, count, 256):
            out.append(frames[a : a + 256])
    write_table(components, pd.concat(tables, ignore_index=True), COLUMNS)
