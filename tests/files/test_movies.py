"""Movies of every kind: frames come back as they were written; what is broken is named."""

import logging
import tracemalloc
import warnings
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from mrcfile.dtypes import get_ext_header_dtype

from perrin.files.errors import InputError
from perrin.files.movies import open_movie, pixel_size, refuse_nonfinite

SHAPE = (7, 5, 9)
TYPES = {0: np.int8, 1: np.int16, 2: np.float32, 6: np.uint16, 12: np.float16}


def counts(dtype=np.uint8, shape=SHAPE, top=100):
    """Frames in which every pixel differs from its neighbours, so that no axis passes for another."""
    return (np.arange(np.prod(shape)) % top).reshape(shape).astype(dtype)


def write_mrc(path, data, order="<", pixel_A=0.358, extended=b"", spoil=None):
    """An MRC file built by mrcfile, then its byte order, extended header or single fields changed by hand."""
    with warnings.catch_warnings(), mrcfile.new(path, overwrite=True) as mrc:
        warnings.filterwarnings("ignore", "Data array contains NaN")
        mrc.set_data(data)
        mrc.set_image_stack()
        mrc.voxel_size = pixel_A
        if extended:
            mrc.set_extended_header(np.frombuffer(extended, dtype="V1"))
        header, body = mrc.header.copy(), mrc.data.copy()
    if spoil:
        spoil(header)
    stored = header.astype(header.dtype.newbyteorder(order))
    if order == ">" and tuple(stored["machst"]) == (0x44, 0x44, 0, 0):
        stored["machst"] = (0x11, 0x11, 0, 0)
    path.write_bytes(stored.tobytes() + extended + body.astype(body.dtype.newbyteorder(order)).tobytes())
    return path


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("mode", TYPES)
def test_mrc_of_every_mode_and_byte_order(tmp_path, mode, order):
    """Would catch swapped bytes, a wrong type for a mode, or an extended header read as pixels."""
    data = counts(TYPES[mode])
    path = write_mrc(tmp_path / "movie.mrc", data, order, extended=b"X" * 1536)
    movie = open_movie(path)
    assert movie.shape == SHAPE
    assert movie.pixel_size_A == 0.358
    assert movie.read(0, 7).dtype == np.float32
    np.testing.assert_array_equal(movie.read(0, 7), data)
    np.testing.assert_array_equal(movie.read(3, 5), data[3:5])
    assert movie.sections(3, 5).dtype.isnative
    assert movie.sections(3, 5).dtype == (
        np.float32 if mode == 12 else np.uint8 if mode == 0 else TYPES[mode]
    )


def test_volume_flag_and_missing_stamps_are_named_not_fatal(tmp_path, caplog):
    """Would catch a movie refused, or read in silence, for want of MAP and machine stamp."""

    def spoil(header):
        header.ispg, header.mz = 1, header.nz
        header.map = b"\0\0\0\0"
        header.machst = (0, 0, 0, 0)
        header.nversion = 0

    data = counts(np.uint16)
    for order in "<>":
        path = write_mrc(tmp_path / "movie.mrc", data, order, spoil=spoil)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "perrin"):
            movie = open_movie(path)
        np.testing.assert_array_equal(movie.read(0, 7), data)
        assert "Map ID" in caplog.text


@pytest.mark.parametrize("size", [0.0, -0.358, np.nan, 1.0])
def test_pixel_size_that_means_nothing_is_none(tmp_path, size):
    """Would catch a zero, a negative or the 1.0 of programs that do not know becoming a pixel size."""

    def spoil(header):
        header.cella = (size * header.nx, size * header.ny, size)

    path = write_mrc(tmp_path / "movie.mrc", counts(), spoil=spoil)
    movie = open_movie(path)
    assert movie.pixel_size_A is None
    with pytest.raises(InputError, match="pixel_size_A"):
        pixel_size(movie)
    assert open_movie(path, 0.4).pixel_size_A == 0.4


def test_pixel_size_of_a_thermo_fisher_extension(tmp_path):
    """Would catch metres taken for angstrom, or the extension overruling a header that knows."""
    extension = np.zeros(SHAPE[0], dtype=get_ext_header_dtype(b"FEI1"))
    extension["Metadata size"] = extension.itemsize
    extension["Pixel size X"] = 4.1e-11
    for cell, expected in [(0.0, 0.41), (0.358, 0.358)]:

        def spoil(header, cell=cell):
            header.exttyp = b"FEI1"
            header.cella = (cell * header.nx, cell * header.ny, cell)

        path = write_mrc(tmp_path / "movie.mrc", counts(), extended=extension.tobytes(), spoil=spoil)
        movie = open_movie(path)
        assert movie.pixel_size_A == expected
        np.testing.assert_array_equal(movie.read(0, 7), counts())


def test_given_pixel_size_wins_with_a_warning(tmp_path, caplog):
    """Would catch the sheet being overruled by the header, or the disagreement passing in silence."""
    path = write_mrc(tmp_path / "movie.mrc", counts())
    with caplog.at_level(logging.WARNING, "perrin"):
        assert open_movie(path, 0.3585).pixel_size_A == 0.3585
        assert not caplog.records
        assert open_movie(path, 0.365).pixel_size_A == 0.365
    assert "0.358" in caplog.text
    assert "0.365" in caplog.text
    with pytest.raises(InputError, match="positive"):
        open_movie(path, -1)


def test_unsigned_bytes_in_mode_0(tmp_path, caplog):
    """Would catch counts above 127 turning negative, or signed values around zero wrapping to 255."""
    random = np.random.default_rng(1)
    unsigned = random.poisson(120, (4, 32, 32)).clip(0, 255).astype(np.uint8)
    path = write_mrc(tmp_path / "camera.mrc", unsigned.view(np.int8))
    with caplog.at_level(logging.WARNING, "perrin"):
        np.testing.assert_array_equal(open_movie(path).read(0, 4), unsigned)
    assert "unsigned" in caplog.text
    signed = np.round(random.normal(0, 5, (4, 32, 32))).astype(np.int8)
    np.testing.assert_array_equal(open_movie(write_mrc(tmp_path / "s.mrc", signed)).read(0, 4), signed)
    hot = random.poisson(17, (4, 32, 32)).astype(np.uint8)
    hot[:, 5, 5] = 200
    np.testing.assert_array_equal(
        open_movie(write_mrc(tmp_path / "hot.mrc", hot.view(np.int8))).read(0, 4), hot
    )


def test_imod_stamp_decides_on_signed_bytes(tmp_path):
    """Would catch IMOD's own statement on the sign of bytes being overruled by a guess."""
    data = np.round(np.random.default_rng(2).normal(100, 40, (3, 16, 16))).astype(np.int16).astype(np.int8)

    for flag, expected in [(1, data), (0, data.view(np.uint8))]:
        path = write_mrc(tmp_path / "movie.mrc", data)
        raw = bytearray(path.read_bytes())
        raw[152:160] = np.array([1146047817, flag], dtype="<i4").tobytes()
        path.write_bytes(raw)
        np.testing.assert_array_equal(open_movie(path).read(0, 3), expected)


def refusal(path):
    with pytest.raises(InputError) as error:
        open_movie(path)
    message = str(error.value)
    assert path.name in message
    assert "\n" not in message
    return message


def test_broken_movies_are_refused_in_one_sentence(tmp_path):
    """Would catch a traceback of a library, or a movie half read, where the user must be told what to do."""
    good = write_mrc(tmp_path / "good.mrc", counts(np.float32)).read_bytes()

    def broken(name, content):
        path = tmp_path / name
        path.write_bytes(content)
        return refusal(path)

    assert "no such movie" in refusal(tmp_path / "missing.mrc")
    assert "empty" in broken("empty.mrc", b"")
    assert "truncated" in broken("short.mrc", good[:-1])
    assert "room for 6" in broken("short.mrc", good[:-1])
    assert "not an MRC" in broken("header.mrc", good[:500])
    assert "text that starts with" in broken("text.mrc", b"frame,x_px,y_px\n" * 100)
    assert "not an MRC" in broken("noise.mrc", np.random.default_rng(0).bytes(5000))
    assert "one frame" in refusal(write_mrc(tmp_path / "one.mrc", counts()[:1]))
    assert "gunzip -k" in broken("movie.mrc.gz", b"\x1f\x8b\x08" + bytes(50))
    assert "bunzip2 -k" in broken("movie.mrc.bz2", b"BZh9" + bytes(50))
    packed = bytearray(good)
    packed[12:16] = np.int32(101).tobytes()
    assert "newstack" in broken("packed.mrc", packed)
    packed[12:16] = np.int32(4).tobytes()
    assert "complex" in broken("fourier.mrc", packed)


def test_the_shared_movies(tmp_path):
    """Would catch a real file's header misread: frames, pixel size and mean count as its notes say."""
    path = Path(__file__).resolve().parents[2] / "../shared/data/pt314/movie.mrc"
    if not path.exists():
        pytest.skip("the shared movies are not beside this copy of perrin")
    movie = open_movie(path)
    assert movie.shape == (2400, 152, 152)
    assert movie.pixel_size_A == 0.358
    assert movie.read(2390, 2400).mean() == pytest.approx(17, rel=0.02)


def test_a_movie_that_may_not_be_read_is_one_sentence(tmp_path, monkeypatch):
    """Would catch the traceback of a file without permission or on a broken disk."""

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    path = write_mrc(tmp_path / "movie.mrc", counts())
    monkeypatch.setattr("builtins.open", refuse)
    assert "Permission denied" in refusal(path)


def test_read_beyond_the_movie_is_an_error(tmp_path):
    """Would catch a short last chunk that shifts every later frame."""
    movie = open_movie(write_mrc(tmp_path / "movie.mrc", counts()))
    for first, stop in [(-1, 2), (5, 8), (4, 3)]:
        with pytest.raises(ValueError, match="frames"):
            movie.read(first, stop)
    assert movie.read(4, 4).shape == (0, 5, 9)


def test_frames_that_are_not_numbers_are_named(tmp_path):
    """Would catch NaN frames going on into averages, or the wrong frame being named."""
    data = counts(np.float32)
    data[5, 2, 3:5] = np.nan
    movie = open_movie(write_mrc(tmp_path / "movie.mrc", data))
    refuse_nonfinite(movie.read(0, 4), movie, 0)
    with pytest.raises(InputError, match="frame 5 has 2 pixels"):
        refuse_nonfinite(movie.read(4, 7), movie, 4)


def test_only_the_frames_asked_for_are_read(tmp_path):
    """Would catch a reader that loads the whole movie: a sparse file of 1 TB gives its last frames."""
    path = tmp_path / "long.mrc"
    path.write_bytes(write_mrc(tmp_path / "seed.mrc", counts(np.int8)).read_bytes()[:1024])
    frames, rows, columns = 300_000, 1728, 1920
    header = np.frombuffer(path.read_bytes(), dtype="<i4").copy()
    header[[0, 1, 2, 7, 8]] = columns, rows, frames, columns, rows
    header[10:12] = np.array([columns, rows], dtype="<f4").view("<i4")
    path.write_bytes(header.tobytes())
    with open(path, "r+b") as file:
        file.seek(1024 + (frames - 1) * rows * columns + 2)
        file.write(b"\x07")
        file.truncate(1024 + frames * rows * columns)
    last = open_movie(path).read(frames - 2, frames)
    assert last.shape == (2, rows, columns)
    assert last[1, 0, 2] == 7
    assert last.sum() == 7


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pages", [False, True])
def test_tiff(tmp_path, dtype, big, pages):
    """Would catch wrong pages, wrong byte order or BigTIFF being taken for something else."""
    data = counts(dtype)
    path = tmp_path / "movie.tif"
    options = {"compression": "zlib"} if pages else {}
    tifffile.imwrite(path, data, bigtiff=big, photometric="minisblack", byteorder=">", **options)
    movie = open_movie(path)
    assert movie.shape == SHAPE
    np.testing.assert_array_equal(movie.read(0, 7), data)
    np.testing.assert_array_equal(movie.read(2, 4), data[2:4])


def test_tiff_of_imagej_has_pixel_size_and_frame_time(tmp_path):
    """Would catch a unit or an inverse mixed up: 0.358 A is 27.93 pixels per nanometre."""
    path = tmp_path / "movie.tif"
    metadata = {"unit": "nm", "finterval": 0.0025, "axes": "TYX"}
    tifffile.imwrite(
        path, counts(np.uint16), imagej=True, resolution=(10 / 0.358, 10 / 0.358), metadata=metadata
    )
    movie = open_movie(path)
    assert movie.shape == SHAPE
    assert movie.pixel_size_A == pytest.approx(0.358, rel=1e-6)
    assert movie.frame_time_s == 0.0025
    np.testing.assert_array_equal(movie.read(1, 3), counts(np.uint16)[1:3])


def test_tiff_cut_off_or_in_colour_is_refused(tmp_path):
    """Would catch a crash at the last frames of an hour's work, or red taken for frame 0."""
    path = tmp_path / "movie.tif"
    tifffile.imwrite(path, counts(), photometric="minisblack")
    whole = path.read_bytes()
    path.write_bytes(whole[: 256 + counts().nbytes // 2])
    assert "copy it again" in refusal(path)
    with tifffile.TiffWriter(path) as writer:
        for frame in counts():
            writer.write(frame, photometric="minisblack", contiguous=False, metadata=None)
    whole = path.read_bytes()
    np.testing.assert_array_equal(open_movie(path).read(0, 7), counts())
    for lost in (20, 200, 400):
        path.write_bytes(whole[:-lost])
        assert "copy it again" in refusal(path)
    tifffile.imwrite(path, np.zeros((4, 5, 9, 3), np.uint8), photometric="rgb")
    assert "grey" in refusal(path)


def test_npy(tmp_path):
    """Would catch Fortran order or a byte-swapped array read as if it were native."""
    path = tmp_path / "movie.npy"
    for data in [counts(np.uint8), counts(">i2"), counts(np.float64)]:
        np.save(path, data)
        np.testing.assert_array_equal(open_movie(path).read(2, 6), data[2:6])
    path.write_bytes(path.read_bytes()[:-8])
    assert "truncated" in refusal(path)
    np.save(path, np.asfortranarray(counts()))
    assert "Fortran" in refusal(path)
    np.save(path, counts()[0])
    assert "(frame, y, x)" in refusal(path)


def test_hdf5(tmp_path):
    """Would catch a dataset chosen at random where a file holds several."""
    path = tmp_path / "movie.h5"
    with h5py.File(path, "w") as file:
        file["entry/frames"] = counts(np.uint16)
        file["entry/dark"] = counts(np.uint16)[0]
    np.testing.assert_array_equal(open_movie(path).read(2, 6), counts(np.uint16)[2:6])
    with h5py.File(path, "a") as file:
        file["entry/other"] = counts(np.uint16)
    assert "/entry/other" in refusal(path)


def test_velox(tmp_path):
    """Would catch Velox's frames-last axes read as frames first, or metres taken for angstrom."""
    path = tmp_path / "movie.emd"
    data = counts(np.uint16)
    about = b'{"BinaryResult": {"PixelSize": {"width": "3.58e-11"}, "PixelUnitX": "m"}}'
    with h5py.File(path, "w") as file:
        group = file.create_group("Data/Image/0a1b")
        group["Data"] = np.moveaxis(data, 0, -1)
        column = np.frombuffer(about.ljust(200, b"\0"), np.uint8)
        group["Metadata"] = np.repeat(column[:, None], len(data), axis=1)
    movie = open_movie(path)
    assert movie.shape == SHAPE
    assert movie.pixel_size_A == pytest.approx(0.358)
    np.testing.assert_array_equal(movie.read(2, 6), data[2:6])
    np.testing.assert_array_equal(open_movie(path, 0.36).read(2, 6), data[2:6])


@pytest.mark.parametrize("suffix", [".tif", ".mrc", ".npy"])
def test_folder_of_frames(tmp_path, suffix):
    """Would catch frame_10 before frame_2, notes taken for frames, or a frame of another size let through."""
    folder = tmp_path / "frames"
    folder.mkdir()
    data = counts(np.uint8, (12, 5, 9))
    for index, frame in enumerate(data):
        path = folder / f"frame_{index}{suffix}"
        if suffix == ".tif":
            tifffile.imwrite(path, frame)
        elif suffix == ".mrc":
            write_mrc(path, frame[None].view(np.int8))
        else:
            np.save(path, frame[None])
    (folder / "notes.txt").write_text("a good day")
    movie = open_movie(folder)
    np.testing.assert_array_equal(movie.read(0, 12), data)
    np.testing.assert_array_equal(movie.read(9, 12), data[9:12])
    np.testing.assert_array_equal(open_movie([folder]).read(9, 12), data[9:12])
    listed = open_movie([folder / f"frame_{index}{suffix}" for index in (3, 1)])
    np.testing.assert_array_equal(listed.read(0, 2), data[[3, 1]])
    np.save(folder / "frame_5.npy", data[0, :4][None])
    if suffix == ".npy":
        with pytest.raises(InputError, match="frame_5"):
            movie = open_movie(folder)
            movie.read(0, 12)
    else:
        assert "mixes" in refusal(folder)
    empty = tmp_path / "none"
    empty.mkdir()
    assert "no images" in refusal(empty)


def test_vendor_format_without_the_extra_says_how_to_install_it(tmp_path):
    """Would catch an ImportError shown to a user with a .dm4 movie."""
    try:
        import rsciio  # noqa: F401
    except ImportError:
        path = tmp_path / "movie.dm4"
        path.write_bytes(b"\0\0\0\4" + bytes(100))
        assert "pip install rosettasciio" in refusal(path)
    else:
        pytest.skip("rosettasciio is installed here")


def test_vendor_format_through_rosettasciio(tmp_path):
    """Would catch axes or units of rosettasciio misread, in a TVIPS movie that it wrote itself."""
    tvips = pytest.importorskip("rsciio.tvips", reason="rosettasciio is an extra")
    sizes = dict(zip(["time", "y", "x"], SHAPE, strict=True))
    steps = {"time": (2, "ms"), "y": (0.0358, "nm"), "x": (0.0358, "nm")}
    axes = [
        {"name": name, "size": size, "offset": 0, "navigate": name == "time"}
        | dict(zip(["scale", "units"], steps[name], strict=True))
        for name, size in sizes.items()
    ]
    signal = {"data": counts(np.uint16), "axes": axes, "metadata": {}, "original_metadata": {}}
    tvips.file_writer(str(tmp_path / "movie_000.tvips"), signal | {"attributes": {"_lazy": False}})
    movie = open_movie(tmp_path / "movie_000.tvips")
    assert movie.shape == SHAPE
    np.testing.assert_array_equal(movie.read(2, 5), counts(np.uint16)[2:5])


@pytest.mark.parametrize("kind", ["mrc", "npy", "tif", "packed.tif", "h5", "emd", "folder"])
def test_a_window_is_the_part_of_the_frames(tmp_path, kind):
    """Catches rows read from the wrong place of any kind of file, a byte order that is lost, frames off by one."""
    counts = np.random.default_rng(4).integers(0, 3000, (7, 30, 44)).astype(np.int16)
    path = tmp_path / f"movie.{kind}"
    if kind == "mrc":
        write_mrc(path, counts, order=">")
    elif kind == "npy":
        np.save(path, counts)
    elif kind == "tif":
        tifffile.imwrite(path, counts, byteorder=">", metadata={"axes": "ZYX"})
    elif kind == "packed.tif":
        tifffile.imwrite(path, counts, compression="zlib", metadata={"axes": "ZYX"})
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["movie"] = counts
    elif kind == "emd":
        with h5py.File(path, "w") as file:
            file["Data/Image/abc/Data"] = np.moveaxis(counts, 0, -1)
    else:
        path.mkdir()
        for number, frame in enumerate(counts):
            np.save(path / f"f{number}.npy", frame[None])
    movie = open_movie(path)
    part = movie.window(2, 6, (5, 21, 9, 40))
    assert np.array_equal(part, counts[2:6, 5:21, 9:40])
    assert part.dtype.byteorder in "=|" or part.dtype.isnative
    assert np.array_equal(movie.window(0, 7, (0, 30, 0, 44)), counts)
    with pytest.raises(ValueError, match="rows"):
        movie.window(0, 1, (0, 31, 0, 44))


def test_a_window_reads_only_its_rows(tmp_path):
    """Catches whole frames read for a part of them: what lies above and below is not even there."""
    counts = np.random.default_rng(5).integers(0, 99, (4, 40, 16)).astype(np.uint8)
    np.save(tmp_path / "movie.npy", counts)
    movie = open_movie(tmp_path / "movie.npy")
    with open(tmp_path / "movie.npy", "r+b") as file:
        file.truncate((tmp_path / "movie.npy").stat().st_size - 20 * 16)
    assert np.array_equal(movie.window(3, 4, (4, 20, 0, 16)), counts[3:, 4:20])
    with pytest.raises(InputError, match="ends before frame 3"):
        movie.window(3, 4, (4, 21, 0, 16))


def test_tiff_frames_written_one_by_one_are_a_movie(tmp_path):
    """Would catch a loop of tifffile's write taken for as many movies of one frame."""
    with tifffile.TiffWriter(tmp_path / "movie.tif") as file:
        for frame in counts():
            file.write(frame, contiguous=False)
    np.testing.assert_array_equal(open_movie(tmp_path / "movie.tif").read(0, 7), counts())


@pytest.mark.parametrize("kind", ["mrc", "npy", "tif", "h5"])
def test_a_long_movie_costs_no_more_memory_than_the_frames_asked_for(tmp_path, kind):
    """Would catch a reader that holds the file: 20,000 frames, 5 GB as they would be in memory (on disk: holes)."""
    path, shape = tmp_path / f"movie.{kind}", (20_000, 512, 512)
    if kind == "npy":
        np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    elif kind == "tif":
        tifffile.memmap(path, shape=shape, dtype=np.uint8, bigtiff=True)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_dataset("movie", shape, np.uint8, chunks=(1, 512, 512))
    else:
        write_mrc(path, np.zeros((2, 512, 512), np.int8))
        with open(path, "r+b") as file:
            file.seek(8)
            file.write(np.int32(shape[0]).tobytes())
            file.truncate(1024 + int(np.prod(shape)))
    tracemalloc.start()
    try:
        movie = open_movie(path, 0.358)
        for first in (0, 9_000, 19_984):
            parts = movie.windows(first, first + 16, [(0, 100, 0, 200), (300, 512, 9, 99), (50, 200, 0, 512)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert movie.shape == shape
    assert [part.shape[1:] for part in parts] == [(100, 200), (212, 90), (150, 512)]
    assert peak < 20_000_000


@pytest.mark.parametrize("kind", ["npy", "tif"])
def test_windows_of_the_same_frames_are_those_of_the_frames(tmp_path, kind):
    """Would catch windows that are read in common and cut at the wrong place."""
    data = counts(shape=(6, 40, 30))
    if kind == "npy":
        np.save(tmp_path / "movie.npy", data)
    else:
        tifffile.imwrite(tmp_path / "movie.tif", data, compression="zlib", photometric="minisblack")
    movie = open_movie(tmp_path / f"movie.{kind}")
    assert movie.rows_apart == (kind == "npy")
    windows = [(30, 40, 0, 30), (0, 10, 5, 9), (8, 20, 7, 30), (0, 10, 5, 9), (21, 30, 1, 2)]
    for (y0, y1, x0, x1), part in zip(windows, movie.windows(1, 5, windows), strict=True):
        np.testing.assert_array_equal(part, data[1:5, y0:y1, x0:x1])
