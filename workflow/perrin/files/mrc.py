"""The MRC header: read from every dialect met in the wild, written in one strict form."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from perrin.files.errors import InputError

log = logging.getLogger("perrin")

HEADER_BYTES = 1024
COMPLEX_MODES = {3: "complex int16", 4: "complex float32"}
# Header statistics that the MRC2014 standard defines as "not determined".
UNKNOWN_STATISTICS = (0.0, -1.0, -2.0, -1.0)


@dataclass(frozen=True)
class Header:
    """What perrin needs of an MRC header.

    shape : (n, y, x) sections, rows, columns
    dtype : of a value on disk, byte order included
    mode : MRC mode number
    offset : bytes before the first value
    pixel_A : size of a column's step, angstrom; None where the header holds no usable value
    signed_bytes : True or False where IMOD's stamp says whether mode 0 is signed, else None
    faults : sentences on where the header departs from MRC2014
    """

    shape: tuple
    dtype: np.dtype
    mode: int
    offset: int
    pixel_A: float | None
    signed_bytes: bool | None
    faults: tuple


def read_header(path):
    """Read and judge the header of an MRC file; the data are not touched.

    Wrong or missing MAP and machine stamps, old versions and odd sizes are faults that are named, not errors.
    Raises InputError for files that are empty, are no MRC, are compressed, are truncated, or whose mode has
    no real pixel values.
    """
    path = Path(path)
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); copy it again from where it was recorded")
    if size < HEADER_BYTES:
        raise InputError(
            f"{path}: not an MRC file: {size} bytes are fewer than the {HEADER_BYTES} of an MRC header; "
            "check the path or copy the file again"
        )
    raw, extension, faults = _permissive_header(path)
    if not _plausible(raw):
        raise InputError(f"{path}: not an MRC file: {_what_instead(path)}; check the path")
    mode, extended = int(raw.mode), int(raw.nsymbt)
    dtype = _data_type(path, mode).newbyteorder(raw.mode.dtype.byteorder)
    shape = tuple(int(count) for count in (raw.nz, raw.ny, raw.nx))
    offset = HEADER_BYTES + extended
    needed = offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if size < needed:
        fit = max(0, (size - offset) // (dtype.itemsize * shape[1] * shape[2]))
        raise InputError(
            f"{path}: truncated: the header promises {shape[0]} sections of {shape[2]} x {shape[1]} px "
            f"({needed} bytes), the file has {size} bytes, room for {fit}; copy it again, or set the "
            f"header's number of sections (nz) to {fit} if the recording was cut short"
        )
    if size > needed:
        faults.append(f"the file is {size - needed} bytes longer than its header says; the rest is ignored")
    if (int(raw.mapc), int(raw.mapr), int(raw.maps)) not in [(1, 2, 3), (0, 0, 0)]:
        faults.append(
            f"axes are marked ({raw.mapc}, {raw.mapr}, {raw.maps}); columns are taken as x, rows as y"
        )
    return Header(
        shape, dtype, mode, offset, _pixel(raw, extension, faults), _signed_bytes(raw), tuple(faults)
    )


def header_bytes(shape, pixel_A, stack, statistics=UNKNOWN_STATISTICS, stored="float32"):
    """The 1024 bytes of an MRC2014 header for float32 or float16 data, little-endian.

    shape : (n, y, x)
    pixel_A : voxel size on every axis, angstrom
    stack : True for a stack of images (ISPG 0), False for a volume (ISPG 1)
    statistics : (min, max, mean, standard deviation) of the data
    ORIGIN and NSTART are zero, so that map and model overlay in every viewer; no date is written, so that the
    same data give the same bytes.
    """
    header = np.zeros((), dtype=HEADER_DTYPE.newbyteorder("<")).view(np.recarray)
    sections, rows, columns = shape
    header.nx, header.ny, header.nz = columns, rows, sections
    header.mode = {"float32": 2, "float16": 12}[stored]
    header.mx, header.my, header.mz = columns, rows, 1 if stack else sections
    header.cella = (columns * pixel_A, rows * pixel_A, (1 if stack else sections) * pixel_A)
    header.cellb = (90, 90, 90)
    header.mapc, header.mapr, header.maps = 1, 2, 3
    header.dmin, header.dmax, header.dmean, header.rms = statistics
    header.ispg = 0 if stack else 1
    header.nversion = 20141
    header.map = b"MAP "
    header.machst = (0x44, 0x44, 0, 0)
    header.nlabl = 1
    header.label[0] = b"perrin"
    return header.tobytes()


def statistics_of(data):
    """(min, max, mean, standard deviation) of an array, or the mark for unknown where not finite."""
    if data.size == 0 or not np.isfinite(data).all():
        return UNKNOWN_STATISTICS
    return float(data.min()), float(data.max()), data.mean(dtype=np.float64), data.std(dtype=np.float64)


def read_sections(path, dtype, offset, shape, first, stop):
    """Sections first..stop-1 of a raw (n, y, x) array at a byte offset, as stored on disk.

    Read with plain file reads rather than a memory map: mapped pages count as the process's memory, and a
    file that shrinks under a map kills the process.
    """
    section = shape[1] * shape[2]
    start = offset + first * section * dtype.itemsize
    values = np.fromfile(path, dtype=dtype, count=(stop - first) * section, offset=start)
    if len(values) < (stop - first) * section:
        raise _shorter(path, stop - 1)
    return values.reshape(stop - first, shape[1], shape[2])


def read_window(path, dtype, offset, shape, first, stop, window):
    """Rows y0..y1-1 and columns x0..x1-1 of sections first..stop-1, (n, y1 - y0, x1 - x0), as stored on disk.

    As `read_sections`, but nothing above or below the rows is read; window : (y0, y1, x0, x1)
    """
    y0, y1, x0, x1 = window
    out = np.empty((stop - first, y1 - y0, x1 - x0), dtype)
    rows = np.empty((y1 - y0, shape[2]), dtype)
    with open(path, "rb", buffering=0) as file:
        for image, section in zip(out, range(first, stop)):
            file.seek(offset + (section * shape[1] + y0) * shape[2] * dtype.itemsize)
            left = memoryview(rows).cast("B")
            while left:
                got = file.readinto(left)
                if not got:
                    raise _shorter(path, section)
                left = left[got:]
            image[:] = rows[:, x0:x1]
    return out


def readers(path, dtype, offset, shape):
    """Functions (first, stop) and (first, stop, window) that read a raw (n, y, x) array at a byte offset."""
    return (
        lambda first, stop: read_sections(path, dtype, offset, shape, first, stop),
        lambda first, stop, window: read_window(path, dtype, offset, shape, first, stop, window),
    )


def _shorter(path, frame):
    return InputError(
        f"{path}: ends before frame {frame} although it was long enough when it was opened; "
        "is it still being written? Start again when it is complete"
    )


def _permissive_header(path):
    """mrcfile's header in the byte order that makes sense, FEI's extension or None, and what is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with mrcfile.open(path, permissive=True, header_only=True) as mrc:
                raw = mrc.header.copy()
                extension = mrc.indexed_extended_header if raw.exttyp in (b"FEI1", b"FEI2") else None
        except ValueError as error:
            raise InputError(f"{path}: not an MRC file: {error}; check the path") from error
    faults = [str(warning.message) for warning in caught]
    if not _plausible(raw):
        swapped = raw.view(raw.dtype.newbyteorder()).view(np.recarray)
        if _plausible(swapped):
            faults.append("the machine stamp names the wrong byte order")
            return swapped, None, faults
    return raw, extension, faults


def _plausible(raw):
    """Whether the numbers can be those of an MRC header: positive sizes, a known mode."""
    sizes = [int(raw.nx), int(raw.ny), int(raw.nz)]
    known = int(raw.mode) in (0, 1, 2, 3, 4, 6, 12, 101)
    possible = all(0 < size < 100_000_000 for size in sizes) and sizes[0] * sizes[1] < 1e10
    return known and possible and int(raw.nsymbt) >= 0


def _what_instead(path):
    """What a file that is no MRC seems to be."""
    with open(path, "rb") as file:
        start = file.read(HEADER_BYTES)
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    if printable > 0.95 * len(start):
        line = start.decode("ascii", "replace").strip().splitlines() or [""]
        return f"it is text that starts with {line[0][:40]!r}"
    return "its first 1024 bytes are no MRC header (sizes or mode impossible)"


def _data_type(path, mode):
    """The numpy type of an MRC mode that holds real values."""
    if mode == 101:
        raise InputError(
            f"{path}: MRC mode 101 (two 4-bit pixels in a byte) is not read; convert it first, for example "
            f"with IMOD: newstack -mode 0 {path.name} {path.stem}_8bit.mrc"
        )
    if mode in COMPLEX_MODES:
        raise InputError(
            f"{path}: MRC mode {mode} holds {COMPLEX_MODES[mode]} values, a Fourier transform; "
            "perrin needs the images themselves (mode 0, 1, 2, 6 or 12)"
        )
    return np.dtype({0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}[mode])


def _pixel(raw, extension, faults):
    """The step along x in angstrom, or None where neither header nor extension has one that makes sense."""
    steps = []
    for length, samples, count in zip(
        (raw.cella.x, raw.cella.y), (raw.mx, raw.my), (raw.nx, raw.ny), strict=True
    ):
        samples = int(samples) if samples > 0 else int(count)
        steps.append(float(length) / samples)
    if not all(np.isfinite(step) and 0 < step < 1e6 for step in steps):
        faults.append(f"the pixel size in the header is not usable ({steps[0]:g} x {steps[1]:g} A)")
        metres = float(extension["Pixel size X"][0]) if extension is not None else 0.0
        return float(f"{metres * 1e10:.7g}") if 0 < metres < 1e-4 else None
    if abs(steps[0] - steps[1]) > 0.005 * steps[0]:
        faults.append(f"the pixel is not square ({steps[0]:g} x {steps[1]:g} A); the x value is taken")
    return float(f"{steps[0]:.7g}")  # float32 in the file: 0.358, not 0.35799998


def _signed_bytes(raw):
    """IMOD's statement on mode 0 (bytes 152-159 of the header), or None where IMOD has not stamped it."""
    if int(raw.mode) != 0:
        return None
    words = np.frombuffer(raw.extra2.tobytes(), dtype=np.dtype("i4").newbyteorder(raw.mode.dtype.byteorder))
    stamp, flags = words[_IMOD_WORD : _IMOD_WORD + 2]
    return bool(flags & 1) if stamp == 1146047817 else None


# extra2 starts at byte 112 of the header; IMOD's stamp lies at byte 152.
_IMOD_WORD = (152 - 112) // 4
