"""Stage track: find the particle in the movie, follow it, cut its boxes; or several particles, in one reading."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np

from perrin.files.atomic import read_json, whole, write_json, write_text
from perrin.files.errors import InputError
from perrin.files.movies import open_movie
from perrin.files.tables import sidecar
from perrin.frames.reading import in_one_pass
from perrin.frames.tracker import tracker

log = logging.getLogger("perrin")

SAME_PX = 5.0  # median distance of two paths that follow one particle
FILES = {
    "tracks": "tracks.csv",
    "particle": "particle.mrcs",
    "spectrum": "spectrum.npz",
    "field": "field.png",
}
REFUSED = "refused.txt"


def track(
    *,
    movie,
    tracks,
    particle,
    spectrum,
    field,
    name="",
    pixel_size_A=None,
    frame_rate_hz=None,
    polarity="bright",
    x_px=None,
    y_px=None,
    box_px=None,
    first_frame=None,
    last_frame=None,
    dose_e_px=None,
    seed=0,
    first_frames=100,
    block_frames=1200,
    margin_A=5.0,
    walk_px=None,
    shadow=True,
    smoother="total_variation",
    stored="float32",
    together=None,
):
    """Follow the particle through the movie and cut its boxes, in one pass and bounded memory.

    The centre in each frame is the mean over all paths of a random walk, weighted by how well the lattice
    energy about the path (and the particle's shadow, where it has one) fits what the first frames taught.

    movie : file or folder; tracks : csv, a row per frame (COLUMNS); particle : mrcs, raw counts times the sign
    of the polarity; spectrum : npz with mean_field (blocks, h, w) counts about the particle, field_corner (blocks, 2)
    x and y of its first pixel in the field, block_first (blocks,) frames of the movie, background_spectrum
    (blocks, n, n), pixel_A, sign, mean_count, extent_A (radius); field : png
    x_px, y_px : place in the first frames, None: found; box_px None: twice (radius + margin_A), rounded up to
    a multiple of 16; first_frame, last_frame : both included, None: all
    first_frames : frames in which the particle is looked for; block_frames : frames that share a static field
    walk_px : rms step per axis and frame, None: measured; shadow : use low-resolution contrast where there is any
    smoother : of the picture of the field, total_variation or quadratic; stored : numbers of particle, float32 or
    float16
    together : folder of track_together, which has followed this particle with others of its movie; None: by itself
    Raises InputError where the movie cannot be tracked.
    """
    outputs = {"tracks": tracks, "particle": particle, "spectrum": spectrum, "field": field}
    if together is not None:
        _take_over(Path(together) / name, outputs)
        return
    asked = {
        "name": name,
        "pixel_size_A": pixel_size_A,
        "polarity": polarity,
        "x_px": x_px,
        "y_px": y_px,
        "box_px": box_px,
        "first_frame": first_frame,
        "last_frame": last_frame,
        "seed": seed,
        "first_frames": first_frames,
        "block_frames": block_frames,
        "margin_A": margin_A,
        "walk_px": walk_px,
        "shadow": shadow,
        "smoother": smoother,
        "stored": stored,
    }
    source = open_movie(movie)
    asks = tracker(source, outputs, asked, {})
    for _, _, error in in_one_pass(source, {name: asks}):
        if error:
            raise error


def track_facts(*, facts, **arguments):
    """Write what is asked for one of several particles of a movie: the arguments of `track`, for track_together.

    facts : json
    """
    write_json(facts, arguments)


def track_together(*, movie, together, facts):
    """Follow several particles of one movie, which is read once for all; each result is that of `track` alone.

    together : folder to write; in it for each particle a folder by its name with tracks.csv, particle.mrcs,
    spectrum.npz and field.png, or, where it cannot be tracked, refused.txt with the reason: the others go on
    facts : for each particle a dict of arguments of `track`, or a json of them; the name must be among them
    """
    facts = [asked if isinstance(asked, dict) else read_json(asked) for asked in facts]
    folders = {asked["name"]: Path(together) / asked["name"] for asked in facts}
    refusals, trackers, paths, seen_first = {}, {}, {}, {}
    try:
        source = open_movie(movie)
    except InputError as error:
        refusals = dict.fromkeys(folders, error)
        facts = ()
    for asked in facts:
        name = asked["name"]
        outputs = {key: folders[name] / file for key, file in FILES.items()}
        try:
            trackers[name] = tracker(source, outputs, {**track.__kwdefaults__, **asked}, seen_first)
        except InputError as error:
            refusals[name] = error
    for name, path, error in in_one_pass(source, trackers) if trackers else ():
        if error:
            refusals[name] = error
        else:
            _say_if_the_same(name, path, paths)
            paths[name] = path
    for name, error in refusals.items():
        log.error("%s", error)
        write_text(folders[name] / REFUSED, str(error))


def _take_over(folder, outputs):
    """The files of a particle that was followed together with others, or why it could not be."""
    if (folder / REFUSED).exists():
        raise InputError((folder / REFUSED).read_text(encoding="utf-8"))
    sources = {folder / FILES[key]: Path(path) for key, path in outputs.items()}
    sources[sidecar(folder / FILES["tracks"])] = sidecar(Path(outputs["tracks"]))
    for source, target in sources.items():
        with whole(target) as temporary:
            temporary.unlink()
            try:
                os.link(source, temporary)
            except OSError:
                shutil.copyfile(source, temporary)


def _say_if_the_same(name, path, others):
    """Warn where two rows of a movie follow one particle: no place was given, or places of the same one."""
    for other, found in others.items():
        first, last = max(path.first, found.first), min(path.last, found.last)
        if first <= last:
            apart = path.place[first - path.first : last + 1 - path.first]
            apart = apart - found.place[first - found.first : last + 1 - found.first]
            if np.median(np.hypot(*apart.T)) < SAME_PX:
                log.warning(
                    "%s and %s follow the same particle; give each its x_px and y_px in the sample sheet",
                    other,
                    name,
                )
