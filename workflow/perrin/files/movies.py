"""Movies of every usual kind, opened lazily: frames come in chunks, the file as a whole is never in memory.

The kind is told from the first bytes of the file, not from its name. MRC and NPY are here; TIFF, HDF5,
folders and the formats of camera makers have modules of their own.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from perrin.files import mrc
from perrin.files.errors import InputError

log = logging.getLogger("perrin")

# A pixel size in a header and one that the user gives may differ by this much before it is worth a warning.
PIXEL_TOLERANCE = 0.005
COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip -k"),
    b"BZh": ("bzip2", "bunzip2 -k"),
    b"\xfd7zXZ\x00": ("xz", "unxz -k"),
    b"\x28\xb5\x2f\xfd": ("zstandard", "unzstd"),
    b"PK\x03\x04": ("zip", "unzip"),
}


@dataclass(frozen=True)
class Movie:
    """A movie that is open for reading.

    path : where it is
    shape : (t, y, x)
    dtype : type of a value as stored
    pixel_size_A : angstrom per pixel; None where neither given nor known
    frame_time_s : seconds per frame, None where the file does not say
    dose_e_px : electrons per pixel and frame, None where the file does not say
    kind : "MRC", "TIFF", ...
    stored : function (first, stop) -> frames first..stop-1 as the file has them; use sections or read
    stored_window : function (first, stop, (y0, y1, x0, x1)) -> only that part of them, where the file allows to
    read less than whole frames; None where it does not; use window
    rows_apart : whether rows of a frame that nobody wants cost nothing: those of plain stacks, not of packed ones
    """

    path: Path
    shape: tuple
    dtype: np.dtype
    pixel_size_A: float | None
    frame_time_s: float | None
    dose_e_px: float | None
    kind: str
    stored: Callable
    stored_window: Callable | None = None
    rows_apart: bool = False

    def sections(self, first, stop):
        """Frames first..stop-1 as (n, y, x) in the file's own numbers; only these are read.

        The type is that of the file, but in this machine's byte order, and float32 for float16: compiled loops know
        neither foreign byte order nor half precision. Four times less memory than `read` for a camera's bytes.
        """
        self._refuse_beyond(first, stop)
        return _native(self.stored(first, stop))

    def window(self, first, stop, window):
        """Rows y0..y1-1 and columns x0..x1-1 of frames first..stop-1, (n, y1 - y0, x1 - x0), as `sections` has them.

        Of an uncompressed stack only these rows are read; window : (y0, y1, x0, x1)
        """
        self._refuse_beyond(first, stop)
        y0, y1, x0, x1 = window
        height, width = self.shape[1:]
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise ValueError(f"{self.path}: rows {y0}..{y1}, columns {x0}..{x1} of {height} x {width}")
        if self.stored_window is None or (y1 - y0, x1 - x0) == (height, width):
            return self.sections(first, stop)[:, y0:y1, x0:x1]
        return _native(self.stored_window(first, stop, window))

    def windows(self, first, stop, windows):
        """Several windows of the same frames, a list as of `window`; what they share is read and unpacked once."""
        parts = [None] * len(windows)
        for members in _touching(windows) if self.rows_apart else [list(range(len(windows)))]:
            y0, x0 = (min(windows[i][axis] for i in members) for axis in (0, 2))
            y1, x1 = (max(windows[i][axis] for i in members) for axis in (1, 3))
            around = self.window(first, stop, (y0, y1, x0, x1))
            for i in members:
                top, bottom, left, right = windows[i]
                parts[i] = around[:, top - y0 : bottom - y0, left - x0 : right - x0]
        return parts

    def read(self, first, stop):
        """Frames first..stop-1 as (n, y, x) float32, in the file's own counts; only these are read."""
        return self.sections(first, stop).astype(np.float32, copy=False)

    def _refuse_beyond(self, first, stop):
        if not 0 <= first <= stop <= self.shape[0]:
            raise ValueError(f"{self.path}: frames {first}..{stop - 1} of a movie of {self.shape[0]} frames")


def _touching(windows):
    """Numbers of the windows in groups whose rows overlap or touch."""
    groups, end = [], -1
    for i in sorted(range(len(windows)), key=lambda i: windows[i][0]):
        if windows[i][0] > end:
            groups.append([])
        groups[-1].append(i)
        end = max(end, windows[i][1])
    return groups


def _native(frames):
    """Stored values in this machine's byte order, float32 for float16."""
    frames = np.asarray(frames)
    if frames.dtype.kind == "f" and frames.dtype.itemsize == 2:
        return frames.astype(np.float32)
    return frames.astype(frames.dtype.newbyteorder("="), copy=False)


def open_movie(path, pixel_size_A=None):
    """Open a movie: MRC, TIFF, NPY, HDF5, Velox EMD, a folder of single frames, or what rosettasciio reads.

    path : a file, a folder of single-frame files (in natural order of their names), or a list of such files
    pixel_size_A : where given it wins over the file's own; a disagreement over 0.5 % is logged as a warning

    Raises InputError, one sentence, for a path that is missing, empty, truncated, compressed, of an unknown
    kind, or holds fewer than two frames.

    >>> np.save("movie.npy", np.zeros((10, 64, 48), np.uint16))
    >>> movie = open_movie("movie.npy", 0.358)
    >>> movie.shape, movie.kind, movie.read(0, 4).shape
    ((10, 64, 48), 'NPY', (4, 64, 48))
    """
    movie = open_frames(path)
    if movie.shape[0] < 2:
        raise InputError(
            f"{path}: holds one frame ({movie.shape[2]} x {movie.shape[1]} px); a movie needs at least two: "
            "give the whole stack, or the folder that holds the single frames"
        )
    if pixel_size_A is None:
        return movie
    return replace(movie, pixel_size_A=pixel_size(movie, pixel_size_A))


def open_frames(path):
    """`open_movie` without its demand for two frames and without a given pixel size."""
    if isinstance(path, (list, tuple)) and len(path) == 1:
        path = path[0]
    if isinstance(path, (list, tuple)):
        from perrin.files.movie_folder import open_files

        return open_files([Path(name) for name in path], Path(path[0]).parent)
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such movie; paths in the sample sheet count from the folder of the sheet"
        )
    if path.is_dir():
        from perrin.files.movie_folder import open_folder

        return open_folder(path)
    try:
        with open(path, "rb") as file:
            start = file.read(8)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and its disk"
        ) from error
    if not start:
        raise InputError(f"{path}: the file is empty (0 bytes); copy it again from where it was recorded")
    for magic, (name, command) in COMPRESSED.items():
        if start.startswith(magic):
            raise InputError(
                f"{path}: compressed with {name}, of which frames cannot be read one by one; "
                f"unpack it first: {command} {path.name}"
            )
    return _opener(path, start)(path)


def pixel_size(movie, given=None):
    """The pixel size to use, angstrom: the given one, or else the movie's own.

    Raises InputError where there is neither; logs a warning where both exist and differ by more than 0.5 %.
    """
    own = movie.pixel_size_A
    if given is None:
        if own is None:
            raise InputError(
                f"{movie.path}: neither the movie nor the sample sheet says the pixel size; fill "
                "in the column "
                "pixel_size_A (angstrom per pixel)"
            )
        return own
    if not (np.isfinite(given) and given > 0):
        raise InputError(f"{movie.path}: pixel_size_A is {given}; it must be a positive number of angstrom")
    if own is not None and abs(own - given) > PIXEL_TOLERANCE * given:
        log.warning(
            "%s: the file says %.5g A per pixel, the sample sheet %.5g A (%+.1f %%); the sheet's is used",
            movie.path,
            own,
            given,
            100 * (given / own - 1),
        )
    return float(given)


def refuse_nonfinite(images, movie, first):
    """Raise InputError if a chunk of frames (n, y, x), the first of which is frame `first`, has NaN or
    infinity.

    Costs nothing for movies stored as integers, and one sum for others.
    """
    if movie.dtype.kind != "f" or np.isfinite(images.sum(dtype=np.float64)) or np.isfinite(images).all():
        return
    bad = np.count_nonzero(~np.isfinite(images), axis=(1, 2))
    frame = int(np.flatnonzero(bad)[0])
    raise InputError(
        f"{movie.path}: frame {first + frame} has {bad[frame]} pixels that are not a number (NaN "
        "or infinite); "
        "write the movie again without them, or leave the frame out with first_frame and last_frame"
    )


def _opener(path, start):
    """The function that opens a file, by its first bytes."""
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        from perrin.files.movie_tiff import open_tiff

        return open_tiff
    if start.startswith(b"\x93NUMPY"):
        return open_npy
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        from perrin.files.movie_hdf5 import open_hdf5

        return open_hdf5
    from perrin.files.movie_vendor import SUFFIXES, open_vendor

    return open_vendor if path.suffix.lower() in SUFFIXES else open_mrc


def open_mrc(path):
    """An MRC stack or volume of mode 0, 1, 2, 6 or 12, either byte order, with or without extended header."""
    header = mrc.read_header(path)
    for fault in header.faults:
        log.warning("%s: MRC header: %s", path, fault)
    if header.pixel_A == 1:
        log.warning("%s: a pixel size of exactly 1 A in the header is taken as not set", path)
    dtype = _byte_type(path, header) if header.mode == 0 else header.dtype
    pixel_A = None if header.pixel_A == 1 else header.pixel_A

    sections, window = mrc.readers(path, dtype, header.offset, header.shape)
    return Movie(path, header.shape, dtype, pixel_A, None, None, "MRC", sections, window, rows_apart=True)


def open_npy(path):
    """A NumPy array (t, y, x) of real numbers, in C order."""
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[
                version[0]
            ]
            shape, fortran, dtype = read(file)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"{path}: not a readable NumPy file ({error}); save it again with numpy.save"
            ) from error
        offset = file.tell()
    if len(shape) != 3 or fortran or dtype.kind not in "iuf":
        order = "Fortran" if fortran else "C"
        raise InputError(
            f"{path}: a movie must be a C-ordered array (frame, y, x) of real numbers, this is "
            f"{shape} {dtype} in "
            f"{order} order; save numpy.ascontiguousarray(movie)"
        )
    needed = offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    size = path.stat().st_size
    if size < needed:
        raise InputError(f"{path}: truncated: {size} bytes of {needed}; copy it again")

    read = mrc.readers(path, dtype, offset, shape)
    return Movie(path, shape, dtype, None, None, None, "NPY", *read, rows_apart=True)


def _byte_type(path, header):
    """Signed or unsigned bytes: MRC's mode 0 is signed by the standard, unsigned from many cameras.

    Both readings agree from 0 to 127, so it matters only where signed reading gives negative values. IMOD's
    stamp
    decides where there is one. Else three frames do: bytes are signed only if negatives are common (over 5
    %, more
    than stray hot pixels) and the values scatter less when read as signed, as those of a movie around zero
    do; a camera's counts around 128 scatter less when read as unsigned.
    """
    if header.signed_bytes is not None:
        return np.dtype("i1" if header.signed_bytes else "u1")
    frames = sorted({0, header.shape[0] // 2, header.shape[0] - 1})
    bytes_read = [
        mrc.read_sections(path, np.dtype("u1"), header.offset, header.shape, k, k + 1) for k in frames
    ]
    unsigned = np.concatenate(bytes_read)
    signed = unsigned.view("i1")
    share = np.mean(signed < 0)
    if share == 0:
        return np.dtype("u1")
    if share > 0.05 and signed.std() < unsigned.std():
        log.warning("%s: mode 0 with %.1f %% negative values around zero: read as signed", path, 100 * share)
        return np.dtype("i1")
    log.warning(
        "%s: mode 0 holds bytes above 127, negative by the MRC standard; counts are not, so they are read as "
        "unsigned (%.2g %% of the pixels of three frames)",
        path,
        100 * share,
    )
    return np.dtype("u1")
