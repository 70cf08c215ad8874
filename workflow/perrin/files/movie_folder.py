"""Movies as a folder, or a list, of files that hold one frame each."""

import re
from functools import lru_cache

import numpy as np

from perrin.files.errors import InputError
from perrin.files.movies import Movie, open_frames

IGNORED = {".txt", ".xml", ".json", ".csv", ".tsv", ".log", ".ini", ".mdoc", ".md", ".yaml", ".yml"}


def open_folder(path):
    """The frames of a folder: visible files but notes (.txt, .xml, ...), in natural order of names."""
    files = [
        file
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.suffix.lower() not in IGNORED
    ]
    if not files:
        raise InputError(
            f"{path}: the folder holds no images; give a movie file or a folder of single frames"
        )
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) > 1:
        raise InputError(
            f"{path}: the folder mixes {', '.join(suffixes)} files; keep the frames of one "
            "movie, and nothing "
            "else, in a folder"
        )
    return open_files(sorted(files, key=natural), path)


def open_files(files, path):
    """A movie from a list of single-frame files in the order of time; sizes are checked as they are read."""
    head = open_frames(files[0])
    tail = open_frames(files[-1])
    frame = head.shape[1:]
    for movie in (head, tail):
        _check(movie, frame, files[0])

    @lru_cache(maxsize=4)
    def single(index):
        movie = open_frames(files[index])
        _check(movie, frame, files[0])
        return movie

    def sections(first, stop):
        frames = [single(index).read(0, 1) for index in range(first, stop)]
        return np.concatenate(frames) if frames else np.empty((0, *frame), np.float32)

    return Movie(
        path,
        (len(files), *frame),
        head.dtype,
        head.pixel_size_A,
        head.frame_time_s,
        head.dose_e_px,
        f"folder of {head.kind}",
        sections,
    )


def natural(path):
    """Sort key by which frame_2 comes before frame_10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", path.name)]


def _check(movie, frame, first):
    """Raise InputError unless the file holds one frame of the first one's size."""
    if movie.shape != (1, *frame):
        raise InputError(
            f"{movie.path}: holds {movie.shape[0]} frames of {movie.shape[2]} x {movie.shape[1]} "
            "px where the folder's "
            f"first file {first.name} has one of {frame[1]} x {frame[0]}; keep single frames of "
            "one size in a folder"
        )
