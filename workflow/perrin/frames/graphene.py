"""Stage subtract_graphene: boxes of counts become frames of unit white noise without what stands still.

    clean = (counts x sign - static field average at the box's place - slow background) / noise

Methods: `static` subtracts the field's own average over a block of frames, which holds the graphene, the liquid
that stays and the camera's pattern, and hardly anything of a particle that tumbles; `notch` closes the
reflections of the two sheets in the spectra instead; `published` is the filter of Reboul et al., Science Advances
7, eabe6679 (2021) as in the authors' program; `both` does static, then notch; `off` neither.
"""

import logging

import numpy as np
import pandas as pd
from scipy.ndimage import median_filter

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info, stack_writer
from perrin.files.tables import read_table, write_table
from perrin.frames import background, notch
from perrin.frames import sheets as lattices
from perrin.frames.bands import band_pass
from perrin.progress import progress

log = logging.getLogger("perrin")

METHODS = ("static", "notch", "published", "both", "off")
CHUNK = 128
LATTICE_BAND_A1 = (0.36, 0.95)  # the reflections {111} to {222} of the metals
LEVEL_FRAMES = 101  # the beam's brightness: running median over so many frames
FIT_WIDTH_PX = 512  # angles are fitted in at most this much of the field, about the particle

COLUMNS = {
    "block": ("", "number of the block of frames over which the field was averaged"),
    "first_frame": ("frame", "first frame of the block"),
    "last_frame": ("frame", "last frame of the block"),
    "angle_1_deg": ("deg", "azimuth of the 2.13 angstrom reflections of sheet 1, modulo 60; empty: not seen"),
    "angle_2_deg": ("deg", "the same of sheet 2"),
    "contrast_1_pct": ("%", "mean amplitude of the 2.13 angstrom waves of sheet 1 over the mean count"),
    "contrast_2_pct": ("%", "the same of sheet 2"),
    "scale": ("", "length of graphene's reflections over the expected one; 1 where the pixel size is right"),
    "pixel_size_graphene_A": ("A", "pixel size that brings the reflections to 2.13 and 1.23 angstrom"),
    "power_lost_pct": (
        "%",
        "share of the particle's power at 0.36-0.95 1/A that the subtraction took away; empty: too weak to say",
    ),
    "protected_pct": (
        "%",
        "share of notched spots left alone because they hold a reflection of the particle",
    ),
    "noise": ("", "standard deviation of the noise before the last division; 1 for counted electrons"),
}

FRAME_COLUMNS = {
    "frame": ("frame", "frame of the movie"),
    "mean_count": ("counts", "mean of the box before anything was subtracted"),
    "static_share": ("", "how much of the resting background's fine structure the frame shows; 1 in focus"),
    "static_sigma": ("", "standard error of static_share"),
}


def _fit_blocks(mean_field, field_corner, corner, n, pixel_A):
    """The sheets of every block; `angle` (blocks, 2), sheet 1 the stronger one, matched over blocks."""
    height, width = mean_field.shape[1:]
    # blocks that were averaged in one and the same part of the field are fitted together first
    places, which = np.unique(field_corner, axis=0, return_inverse=True)
    most = which.ravel() == np.bincount(which.ravel()).argmax()
    middle = np.median(corner, axis=0).astype(int) + n // 2 - field_corner[most][0]
    cut = []
    for size, centre in ((height, middle[1]), (width, middle[0])):
        first = int(np.clip(centre - FIT_WIDTH_PX // 2, 0, max(size - FIT_WIDTH_PX, 0)))
        cut.append(slice(first, min(first + FIT_WIDTH_PX, size)))
    region = mean_field[:, cut[0], cut[1]]
    whole = lattices.find_sheets(region[most].mean(0), pixel_A)
    order = np.argsort(whole["amplitude"])[::-1]
    reference = [whole["angle_deg"][i] for i in order]
    fits = []
    for image in region:
        fit = lattices.find_sheets(image, pixel_A)
        # a sheet that the block alone does not show is fitted from where all blocks show it
        start = fit["angle_deg"] + [
            a
            for a in reference
            if all(abs(lattices.difference_deg(a, b)) > lattices.EXCLUSION_DEG for b in fit["angle_deg"])
        ]
        if len(start) > len(fit["angle_deg"]):
            fit = lattices.find_sheets(image, pixel_A, start=start[:2])
        fits.append(fit)
    angle = np.full((len(fits), 2), np.nan)
    contrast = np.full((len(fits), 2), np.nan)
    waves = np.zeros((len(fits), 2, 9))
    last = (reference + [np.nan, np.nan])[:2]
    for b, fit in enumerate(fits):
        found = fit["angle_deg"]
        if len(found) == 2 and np.isfinite(last).all():
            straight = sum(abs(lattices.difference_deg(found[i], last[i])) for i in (0, 1))
            crossed = sum(abs(lattices.difference_deg(found[i], last[1 - i])) for i in (0, 1))
            slots = (0, 1) if straight <= crossed else (1, 0)
        elif len(found) == 1 and np.isfinite(last).all():
            slots = (int(np.argmin([abs(lattices.difference_deg(found[0], a)) for a in last])),)
        else:
            slots = tuple(range(len(found)))
        for i, slot in enumerate(slots):
            angle[b, slot] = last[slot] = found[i]
            contrast[b, slot] = fit["amplitude"][i]
            waves[b, slot] = np.abs(fit["waves"][i])
    return angle, contrast, waves, np.array([fit["scale"] for fit in fits])


def _excess(images, pixel_A, extent_A):
    """Energy in the lattice band at the particle beyond that of its surroundings, summed over frames."""
    n = images.shape[-1]
    energy = np.square(band_pass(images, pixel_A, *LATTICE_BAND_A1)).mean(0)
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel_A
    reach = n // 2 * pixel_A
    centre = r < min(0.7 * extent_A, 0.5 * reach)
    around = (r > min(1.2 * extent_A, 0.85 * reach)) & (r < reach)
    return float(energy[centre].mean() - energy[around].mean()) * len(images)


def subtract_graphene(
    *,
    particle,
    tracks,
    spectrum,
    clean,
    sheets,
    pixel_size_A,
    method,
    slow_background_A,
    hole_half_width_A1,
    noise,
    stored="float32",
    background_csv=None,
):
    """Take the background that stands still, and the slow one, off the boxes; bring the noise to 1.

    particle : boxes of counts times sign (mrcs); tracks : csv with box_x_px, box_y_px; spectrum : npz with
    mean_field (blocks, y, x) counts, field_corner (blocks, 2) its first pixel's x and y (absent: 0), block_first
    (blocks,), sign, extent_A (radius of the particle)
    clean : mrcs, white noise of unit variance outside the lattice bands, float32 or float16 as stored says
    sheets : csv, a row per block
    method : one of METHODS; slow_background_A : period in angstrom beyond which the background is slow;
    background_csv : optional output, csv with a row per frame (FRAME_COLUMNS), by which classes2d knows frames
    out of focus
    hole_half_width_A1 : 1/angstrom; noise : "measured" or "poisson", what the last division goes by
    """
    if method not in METHODS:
        raise InputError(f"subtract_graphene: method is '{method}', it must be one of {', '.join(METHODS)}")
    (count, n, _), header_A = stack_info(particle)
    pixel_A = float(pixel_size_A or header_A)
    table = read_table(tracks)
    corner = table[["box_x_px", "box_y_px"]].to_numpy(int) - n // 2
    if len(table) != count:
        raise InputError(
            f"{tracks} has {len(table)} rows for {count} boxes in {particle}; track the movie again"
        )
    with np.load(spectrum) as of_track:
        mean_field = np.asarray(of_track["mean_field"], np.float32)
        first = np.atleast_1d(of_track["block_first"]).astype(int)
        field_corner = np.zeros((len(first), 2), int)
        if "field_corner" in of_track:
            field_corner = of_track["field_corner"]
        sign = float(of_track["sign"])
        extent_A = float(of_track["extent_A"]) if "extent_A" in of_track else np.nan
    if not np.isfinite(extent_A) or extent_A <= 0:
        extent_A = n * pixel_A / 4
    first = first - first[0]
    last = np.r_[first[1:], count] - 1
    block_of = np.searchsorted(first, np.arange(count), side="right") - 1

    angle, contrast, waves, scale = _fit_blocks(mean_field, field_corner, corner, n, pixel_A)
    good_scale = float(np.nanmedian(scale)) if np.isfinite(scale).any() else 1.0
    if abs(good_scale - 1) > 0.005:
        log.warning(
            "graphene's reflections say %.4f A a pixel, the sample sheet says %.4f A",
            pixel_A * good_scale,
            pixel_A,
        )
    clean_static = method in ("static", "both")
    field_centre = (first + last) / 2
    sigma_px = slow_background_A / (2 * np.pi * pixel_A)

    def residual(rows, static):
        """Counts minus field and slow background, and the field under the boxes."""
        images = read_stack(particle, rows[0], rows[-1] + 1)
        field = np.stack(
            [background.field_at(mean_field, field_centre, i, corner[i], n, field_corner) for i in rows]
        )
        valid = np.isfinite(field)
        if static:
            images = images - sign * np.where(valid, field, 0)
        return background.subtract_slow(images, valid, sigma_px), sign * field

    chunks = [np.arange(a, min(a + CHUNK, count)) for a in range(0, count, CHUNK)]
    level = np.empty(count)
    for rows in chunks:
        boxes = read_stack(particle, rows[0], rows[-1] + 1)
        level[rows] = np.abs(boxes.mean((1, 2), dtype=float))
    brightness = np.maximum(median_filter(level, min(LEVEL_FRAMES, count), mode="nearest"), 1e-6)
    some = chunks[:: max(1, len(chunks) // 4)]
    measured = np.concatenate(
        [
            background.noise_sd(residual(rows[:48], True)[0], pixel_A) / np.sqrt(brightness[rows[:48]])
            for rows in some
        ]
    )
    sd = float(np.median(measured[measured > 0])) if (measured > 0).any() else 1.0
    if abs(sd - 1) > 0.1:
        log.warning("the noise is %.3f times that of counted electrons", sd)
    unit = sd if noise == "measured" else 1.0

    blocks = len(first)
    before, after, looked_at = np.zeros(blocks), np.zeros(blocks), np.zeros(blocks)
    guarded = np.zeros((blocks, 2))
    share, error = np.empty(count), np.empty(count)
    surroundings = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel_A > min(extent_A, 0.35 * n * pixel_A)
    with stack_writer(clean, (count, n, n), pixel_A, stored) as out:
        for rows in progress(chunks, "chunks of frames cleaned"):
            raw, field = residual(rows, False)
            images = residual(rows, True)[0] if clean_static else raw.copy()
            factor = (1 / (np.sqrt(brightness[rows]) * unit)).astype(np.float32)[:, None, None]
            images *= factor
            raw *= factor
            share[rows], error[rows] = background.static_share(raw, field * factor, surroundings, pixel_A)
            if method in ("notch", "both", "published"):
                for b in np.unique(block_of[rows]):
                    own = block_of[rows] == b
                    seen = np.isfinite(angle[b])
                    if method == "published":
                        images[own] = notch.multiply_holes(images[own], angle[b][seen], pixel_A)
                        continue
                    expected = waves[b][seen].ravel() * n * n * factor.mean()
                    if method == "both":
                        expected = np.zeros_like(expected)
                    images[own], kept = notch.inpaint_holes(
                        images[own], angle[b][seen], pixel_A, hole_half_width_A1, expected, good_scale
                    )
                    guarded[b] += kept * own.sum(), own.sum()
            out.append(images)
            # every eighth frame is enough to say what was lost
            some_rows = rows[::8]
            for b in np.unique(block_of[some_rows]):
                own = block_of[some_rows] == b
                before[b] += _excess(raw[::8][own], pixel_A, extent_A)
                looked_at[b] += own.sum()
                after[b] += _excess(images[::8][own], pixel_A, extent_A)
    offset = int(table["frame"].iloc[0])
    write_table(
        sheets,
        pd.DataFrame(
            {
                "block": np.arange(blocks),
                "first_frame": first + offset,
                "last_frame": last + offset,
                "angle_1_deg": angle[:, 0],
                "angle_2_deg": angle[:, 1],
                "contrast_1_pct": 100 * contrast[:, 0],
                "contrast_2_pct": 100 * contrast[:, 1],
                "scale": scale,
                "pixel_size_graphene_A": pixel_A * scale,
                "power_lost_pct": 100 * (1 - after / np.where(before > 0.02 * looked_at, before, np.nan)),
                "protected_pct": 100 * guarded[:, 0] / np.where(guarded[:, 1] > 0, guarded[:, 1], np.nan),
                "noise": np.full(blocks, sd),
            }
        ),
        COLUMNS,
    )
    if background_csv:
        table = {
            "frame": np.arange(count) + offset,
            "mean_count": level,
            "static_share": share,
            "static_sigma": error,
        }
        write_table(background_csv, table, FRAME_COLUMNS)
