"""Stage classes2d: averages of short blocks of time, a judgement of every frame, and the particle's diameter."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from perrin.files.atomic import write_json
from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info, write_stack
from perrin.files.tables import read_table, write_table
from perrin.frames import align2d, pictures, quality, size
from perrin.frames.bands import band_pass
from perrin.frames.rings import misplaced
from perrin.frames.shrinkage import coarse_size, to_coarse

log = logging.getLogger("perrin")

ALIGN_BAND_A1 = (1 / 3, 1.0)
FEWEST = 30  # frames below which nothing is concluded
END_A = 1.0  # beyond the disc of 99 % of the energy: the farthest end of a particle that is not round

COLUMNS = {
    "frame": ("frame", "frame of the movie"),
    "accepted": ("", "1: the frame is used, 0: it is not"),
    "reason": ("", "why the frame is not used; 'by hand' where the override file says so"),
    "correlation": ("", "with the average of its class, made without this frame, at 1-3 angstrom"),
    "class": ("", "class average the frame belongs to, from 0 in order of time"),
    "angle_deg": ("deg", "in-plane turn of the frame against its class"),
    "shift_x_A": ("A", "where the class's centre lies in the frame, from the box centre"),
    "shift_y_A": ("A", "the same along y"),
    "noise": ("", "standard deviation at the highest frequencies; 1 for counted electrons"),
    "low_energy": ("", "power at 0.08-0.30 1/A over white noise"),
    "band_energy": ("", "energy at 0.36-0.95 1/A at the particle over white noise"),
    "outside_energy": ("", "the same around the particle"),
    "jump_A": ("A", "distance of the tracked centre from the median of its neighbours"),
}


def read_override(path, frame):
    """What a person decided: (f,) float, 1 accepted, 0 rejected, NaN undecided."""
    table = pd.read_csv(path)
    missing = {"frame", "accepted"} - set(table.columns)
    if missing:
        raise InputError(
            f"{path} lacks the column '{sorted(missing)[0]}'; it needs frame and accepted (1 or 0)"
        )
    decided = table["accepted"].astype(str).str.strip().str.lower()
    value = decided.map(
        {"1": 1.0, "true": 1.0, "yes": 1.0, "1.0": 1.0, "0": 0.0, "false": 0.0, "no": 0.0, "0.0": 0.0}
    )
    if value.isna().any():
        line = int(np.flatnonzero(value.isna())[0]) + 2
        raise InputError(f"{path}, line {line}: accepted is '{decided.iloc[line - 2]}', it must be 1 or 0")
    strange = ~table["frame"].isin(frame)
    if strange.any():
        raise InputError(
            f"{path} names frame {int(table['frame'][strange].iloc[0])}, "
            f"the trajectory has frames {frame[0]} to {frame[-1]}"
        )
    out = np.full(len(frame), np.nan)
    out[np.searchsorted(frame, table["frame"].to_numpy())] = value.to_numpy()
    return out


def disc_mask(n, pixel_A, radius_A, edge_A=2.0):
    """1 inside radius_A, falling as a cosine to 0 at radius_A + edge_A, float32."""
    r = np.hypot(*(np.indices((n, n)) - n // 2)) * pixel_A
    t = np.clip((r - radius_A) / edge_A, 0, 1)
    return (0.5 * (1 + np.cos(np.pi * t))).astype(np.float32)


def _verdict(found, accepted, n_px, pixel_A, rings):
    share = accepted.mean()
    box_A = n_px * pixel_A
    if accepted.sum() < FEWEST:
        return "failed", f"only {int(accepted.sum())} frames are usable, {FEWEST} are needed"
    if not np.isfinite(found["diameter_A"]) or found["contrast"] < 0.02 or found["height_sd"] < 5:
        return "failed", "no lattice shows at the box centre: the track may have lost the particle"
    if rings:
        return "doubtful", rings
    if found["diameter_A"] > 0.9 * box_A:
        return "doubtful", f"the particle ({found['diameter_A']:.1f} A) fills the box ({box_A:.1f} A)"
    if found["diameter_sigma_A"] > 1.5:
        return "doubtful", f"the diameter is uncertain by {found['diameter_sigma_A']:.1f} A"
    if share < 0.5:
        return "doubtful", f"only {100 * share:.0f} % of the frames are usable"
    return "good", f"{100 * share:.1f} % of the frames are usable"


def classes2d(
    *,
    clean,
    denoised,
    tracks,
    classes,
    frames,
    particle_json,
    animation,
    sheet,
    element,
    frame_override,
    block_frames,
    align_with,
    iterations,
    rotation_reach_deg,
    rotation_step_deg,
    shift_reach_A,
    rejection_sd,
    jump_limit_A,
    background_csv=None,
):
    """Average blocks of consecutive frames in plane, judge every frame, measure the particle.

    clean, denoised : mrcs; tracks : csv
    classes : mrcs, one average a block of clean frames; frames : csv (COLUMNS); particle_json;
    animation : gif; sheet : png
    element : chemical symbol, whose lattice the particle's rings are compared with
    frame_override : csv (frame, accepted) or None
    background_csv : optional input, csv of subtract_graphene with static_share: frames out of focus are rejected
    align_with : "clean" or "denoised", the frames that are compared; averages are of clean frames
    """
    (count, n, _), pixel_A = stack_info(clean)
    table = read_table(tracks)
    if len(table) != count:
        raise InputError(f"{tracks} has {len(table)} rows for {count} frames in {clean}; run track again")
    frame = table["frame"].to_numpy(int)
    images = read_stack(clean)
    offset = table[["x_px", "y_px"]].to_numpy(float) - table[["box_x_px", "box_y_px"]].to_numpy(float)
    verdict = table["verdict"].astype(str).to_numpy()
    jump_px = quality.jumps(table["x_px"], table["y_px"])

    # a first look without frames that are plainly bad, then the diameter, then numbers that need it
    rough = quality.features(images, pixel_A, 0.3 * n * pixel_A)
    first, _ = quality.judge(rough, None, jump_px, verdict, rejection_sd, jump_limit_A / pixel_A)
    use = first if first.sum() >= FEWEST else np.ones(count, bool)
    found = size.diameter(images[use], pixel_A, offset[use])
    radius_A = float(np.clip(found["diameter_A"] / 2, 3.0, 0.45 * n * pixel_A))
    # the extent is a mean over all views: the end of a particle that is not round reaches beyond it
    reach_A = max(radius_A, found["extent_A"] / 2 + END_A)
    measured = quality.features(images, pixel_A, radius_A, reach_A)
    if background_csv:
        still = read_table(background_csv)
        measured |= {name: still[name].to_numpy(float) for name in ("static_share", "static_sigma")}
    usable, _ = quality.judge(
        measured, np.ones(count), jump_px, verdict, rejection_sd, jump_limit_A / pixel_A
    )

    block = np.arange(count) // block_frames
    if len(block) > block_frames and np.sum(block == block[-1]) < block_frames // 2:
        block[block == block[-1]] -= 1
    small = coarse_size(n, pixel_A, ALIGN_BAND_A1[1])
    coarse_A = n * pixel_A / small
    mask = disc_mask(small, coarse_A, radius_A + 1.0)
    source = images if align_with == "clean" else read_stack(denoised)
    compared = np.concatenate([to_coarse(source[a : a + 256], small) for a in range(0, count, 256)]) * mask
    del source
    aligned = align2d.align(
        compared,
        coarse_A,
        block,
        ALIGN_BAND_A1,
        iterations,
        rotation_reach_deg,
        rotation_step_deg,
        max(1, round(shift_reach_A / coarse_A)),
        usable=usable,
    )
    shift_A = aligned["shift_px"] * coarse_A
    # the best of many places and turns correlates with noise at at most five of its standard deviations
    freedom = 2 * len(align2d.band_layout(small, coarse_A, *ALIGN_BAND_A1)[0]) * float(np.square(mask).mean())
    accepted, reason = quality.judge(
        measured,
        aligned["correlation"],
        jump_px,
        verdict,
        rejection_sd,
        jump_limit_A / pixel_A,
        chance=5.0 / np.sqrt(freedom),
    )
    if frame_override and Path(frame_override).exists():
        decided = read_override(frame_override, frame)
        reason[(decided == 0) | ((decided == 1) & ~accepted)] = "by hand"
        accepted = np.where(np.isnan(decided), accepted, decided == 1)

    # classes that all frames have left for their neighbours are not written
    kept, member = np.unique(aligned["member"], return_inverse=True)
    number = len(kept)
    rows = np.flatnonzero(accepted)
    sums = (
        align2d.class_sums(
            images[rows],
            member[rows],
            aligned["angle_deg"][rows],
            shift_A[rows] / pixel_A,
            np.zeros(len(rows), np.int64),
            number,
        )[:, 0]
        if len(rows)
        else np.zeros((number, n, n), np.float32)
    )
    members = np.bincount(member[rows], minlength=number)
    averages = sums / np.maximum(members, 1)[:, None, None]
    write_stack(classes, averages, pixel_A)
    shown = band_pass(averages, pixel_A, 0.0, 0.95) if len(averages) else averages
    # equal noise, not equal sums: a class of few frames would drown the others
    shown = shown * np.sqrt(members / max(members.max(), 1))[:, None, None]
    starts = frame[np.searchsorted(block, kept)]
    labels = [f"{s}" for s in starts]
    pictures.contact_sheet(sheet, shown, labels)
    pictures.animation(animation, shown, labels)

    write_table(
        frames,
        pd.DataFrame(
            {
                "frame": frame,
                "accepted": accepted.astype(int),
                "reason": reason.astype(str),
                "correlation": aligned["correlation"],
                "class": member,
                "angle_deg": aligned["angle_deg"],
                "shift_x_A": shift_A[:, 0],
                "shift_y_A": shift_A[:, 1],
                "noise": measured["noise"],
                "low_energy": measured["low_energy"],
                "band_energy": measured["band_energy"],
                "outside_energy": measured["outside_energy"],
                "jump_A": jump_px * pixel_A,
            }
        ),
        COLUMNS,
    )
    # once more with the frames that are used in the end
    if accepted.sum() >= FEWEST:
        found = size.diameter(images[accepted], pixel_A, offset[accepted])
    scale, rings = np.nan, ""
    if accepted.sum() >= FEWEST and np.isfinite(found["diameter_A"]):
        around = disc_mask(n, pixel_A, found["diameter_A"] / 2 + 1.0)
        scale, rings = misplaced(images[accepted], pixel_A, around, found["diameter_A"], look_up(element))
    word, why = _verdict(found, accepted, n, pixel_A, rings)
    log.info("classes2d: %s, %s; diameter %.2f A", word, why, found["diameter_A"])
    write_json(
        particle_json,
        {
            "verdict": word,
            "why": why,
            "element": element,
            "diameter_A": found["diameter_A"],
            "diameter_sigma_A": found["diameter_sigma_A"],
            "extent_A": found["extent_A"],
            # corners of a faceted particle reach farther than the ball of its volume
            "mask_radius_A": float(
                min(max(found["extent_A"], 1.15 * found["diameter_A"]) / 2 + 2.0, (n // 2 - 1) * pixel_A)
            ),
            "blur_A": found["blur_A"],
            "contrast": found["contrast"],
            "lattice_scale": scale,
            "frames": count,
            "accepted": int(accepted.sum()),
            "classes": number,
            "median_correlation": float(np.median(aligned["correlation"][accepted]))
            if accepted.any()
            else np.nan,
            "box_px": n,
            "pixel_size_A": pixel_A,
            "profile_r_A": found["r_A"].tolist(),
            "profile": found["profile"].tolist(),
            "profile_fit": found["fit"].tolist(),
        },
    )
