"""Simulated movies on disk: movie.mrc, metadata.tsv and the folder truth/."""

import csv
import logging
from pathlib import Path

import mrcfile
import numpy as np
import yaml

from perrin.files.atomic import plain, whole
from perrin.simulate.movie import simulate_movie

log = logging.getLogger("perrin")


def write_movie(spec, movie, truth_dir):
    """Make the movie of a specification (dict) and keep its truth beside it; returns the Truth.

    movie : path of the MRC file (mode 0 while counts stay below 128, else mode 6), pixel size in the header
    truth_dir : folder for frames.csv, atoms_stateK.csv, lives.csv, meta.yaml

    >>> spec = {"n_frames": 4, "field_px": 64, "particle": {"shape": "ball", "radius_A": 6.0}}
    >>> truth = write_movie(spec, "movie.mrc", "truth")
    >>> truth.quaternion.shape, sorted(p.name for p in Path("truth").iterdir())[:2]
    ((4, 4), ['atoms_state1.csv', 'frames.csv'])
    """
    truth, chunks = simulate_movie(spec)
    counts = np.concatenate(list(chunks))
    counts = counts.astype(np.int8) if counts.max() < 128 else counts.astype(np.uint16)
    movie = Path(movie)
    movie.parent.mkdir(parents=True, exist_ok=True)
    with whole(movie) as temporary, mrcfile.new(temporary, overwrite=True) as mrc:
        mrc.set_data(counts)
        mrc.set_image_stack()
        mrc.voxel_size = truth.spec["pixel_size_A"]
        # a fixed label in place of mrcfile's time stamp: the same spec gives the same bytes
        mrc.header.label[0] = f"simulated movie {truth.spec['name']}".ljust(80).encode()[:80]
        mrc.header.nlabl = 1
    write_truth(truth, truth_dir)
    log.info(
        "%s: %d frames, mean power SNR %.3f, %s atoms",
        truth.spec["name"],
        len(truth.state),
        truth.snr[truth.snr > 0].mean() if (truth.snr > 0).any() else 0,
        ", ".join(str(len(ident)) for _, ident, _ in truth.states),
    )
    return truth


def write_truth(truth, folder):
    """frames.csv, atoms_stateK.csv, lives.csv and meta.yaml of a movie whose chunks have all been made."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    spec = truth.spec
    rows = []
    for frame, (place, q) in enumerate(zip(truth.origin_px, truth.quaternion)):
        rows.append(
            [frame, *(f"{v:.4f}" for v in place), *(f"{v:.8f}" for v in q), truth.state[frame], "0"]
            + [truth.flag[frame], f"{truth.snr[frame]:.4f}", spec["polarity"]]
        )
    names = ["frame", "x_px", "y_px", "qw", "qx", "qy", "qz", "state", "defocus_A", "flag", "snr", "polarity"]
    _write_csv(folder / "frames.csv", names, rows)
    lives, last = {}, len(truth.state) - 1
    ends = [first - 1 for first, *_ in truth.states[1:]] + [last]
    for number, ((first, ident, xyz), end) in enumerate(zip(truth.states, ends), 1):
        atoms = [[spec["element"], *(f"{v:.4f}" for v in at), i] for i, at in zip(ident, xyz)]
        _write_csv(folder / f"atoms_state{number}.csv", ["element", "x_A", "y_A", "z_A", "id"], atoms)
        for row in atoms:
            known = lives.setdefault(row[4], [row[4], *row[:4], number, number, first, end])
            known[6], known[8] = number, end
    names = ["id", "element", "x_A", "y_A", "z_A", "first_state", "last_state", "first_frame", "last_frame"]
    _write_csv(folder / "lives.csv", names, [lives[ident] for ident in sorted(lives)])
    seen = truth.snr[truth.snr > 0]
    cosine = np.abs((truth.quaternion[1:] * truth.quaternion[:-1]).sum(1)).clip(0, 1)
    steps = 2 * np.rad2deg(np.arccos(cosine))
    meta = {
        **{key: spec[key] for key in ("name", "pixel_size_A", "frame_rate_hz", "element", "polarity")},
        "n_frames": len(truth.state),
        "field_px": list(spec["field_px"]),
        "dose_e_per_px": spec["dose_e_px"],
        "origin": "body-frame origin = centroid of the atoms of state 1",
        "quaternion": "qw,qx,qy,qz; r_microscope = R(q) r_body; column = x, row = y, beam along +z",
        "pixel_convention": "pixel centres at integers, 0-based",
        "states": [
            {"state": number, "first_frame": int(first), "last_frame": int(end), "atoms": len(ident)}
            for number, ((first, ident, _), end) in enumerate(zip(truth.states, ends), 1)
        ],
        "measured": {
            "contrast": round(truth.contrast, 5),
            "snr_mean": round(float(seen.mean()), 4) if len(seen) else None,
            "rotation_step_rms_deg": round(float(np.sqrt((steps**2).mean())), 4) if len(steps) else None,
        },
        "spec": spec,
    }
    with open(folder / "meta.yaml", "w") as file:
        yaml.safe_dump(plain(meta), file, sort_keys=False)


def write_sheet(spec, path, movie="movie.mrc"):
    """A sample sheet (tsv) of one row for a simulated movie."""
    row = [spec["name"], movie, f"{spec['pixel_size_A']:g}", f"{spec['frame_rate_hz']:g}"]
    names = ["name", "movie", "pixel_size_A", "frame_rate_hz", "element", "polarity"]
    Path(path).write_text(
        "\t".join(names) + "\n" + "\t".join(row + [spec["element"], spec["polarity"]]) + "\n"
    )


def _write_csv(path, names, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
