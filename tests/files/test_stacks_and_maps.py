"""Stacks and maps open in other programs as what they are."""

import mrcfile
import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.maps import read_map, write_map
from perrin.files.records import Map
from perrin.files.stacks import read_stack, stack_info, stack_writer, write_stack


def noise(*shape, mean=0.0):
    return np.random.default_rng(3).normal(mean, 2, shape).astype(np.float32)


def valid(path):
    return mrcfile.validate(str(path), print_file=open("/dev/null", "w"))


@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_stack_is_a_valid_stack_of_images(tmp_path, mean):
    """Would catch a stack that RELION takes for a volume, wrong statistics, or a lost pixel size."""
    images = noise(300, 6, 8, mean=mean)
    path = tmp_path / "particle.mrcs"
    write_stack(path, images, 0.358)
    assert valid(path)
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, images)
        assert mrc.is_image_stack()
        assert mrc.header.mode == 2
        assert float(mrc.voxel_size.x) == pytest.approx(0.358)
        assert float(mrc.voxel_size.z) == pytest.approx(0.358)
    assert stack_info(path) == ((300, 6, 8), 0.358)
    np.testing.assert_array_equal(read_stack(path), images)
    np.testing.assert_array_equal(read_stack(path, 5, 9), images[5:9])
    np.testing.assert_array_equal(read_stack(path, 290), images[290:])


def test_half_precision_is_half_as_large_and_read_as_such(tmp_path):
    """Would catch another mode than other programs expect, integers changed, rounding beyond 11 bits, or infinities."""
    images, path = noise(7, 6, 8), tmp_path / "half.mrcs"
    images[0] = np.arange(-24, 24).reshape(6, 8)
    with stack_writer(path, images.shape, 0.358, "float16") as stack:
        stack.append(images)
    assert valid(path) and path.stat().st_size == 1024 + images.size * 2
    with mrcfile.open(path) as mrc:
        assert mrc.header.mode == 12 and mrc.data.dtype == np.float16
    found = read_stack(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[0], images[0])
    np.testing.assert_allclose(found, images, rtol=2.0**-11, atol=1e-7)
    counts = np.linspace(-2048, 2048, 48).round().reshape(1, 6, 8)
    with stack_writer(tmp_path / "counts.mrcs", counts.shape, 0.358, "float16") as stack:
        stack.append(counts)
    np.testing.assert_array_equal(read_stack(tmp_path / "counts.mrcs"), counts)
    refused = pytest.raises(InputError, match="65504; set stored to float32")
    with refused, stack_writer(path, (1, 4, 4), 0.358, "float16") as stack:
        stack.append(np.full((4, 4), 7e4))
    np.testing.assert_array_equal(read_stack(path), found)


def test_same_images_give_the_same_bytes(tmp_path):
    """Would catch a date or random bytes in the header, which make every rerun look like a change."""
    for name in ("a.mrcs", "b.mrcs"):
        write_stack(tmp_path / name, noise(5, 4, 4), 0.5)
    with stack_writer(tmp_path / "c.mrcs", (5, 4, 4), 0.5) as stack:
        stack.append(noise(5, 4, 4)[0])
        stack.append(noise(5, 4, 4)[1:])
    written = [(tmp_path / name).read_bytes() for name in ("a.mrcs", "b.mrcs", "c.mrcs")]
    assert written[0] == written[1] == written[2]


def test_stack_that_is_not_finished_leaves_nothing(tmp_path):
    """Would catch half a stack passing for a whole one after a crash, or overwriting the good one."""
    path = tmp_path / "particle.mrcs"
    write_stack(path, noise(3, 4, 4), 0.5)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), stack_writer(path, (3, 4, 4), 0.5) as stack:
        stack.append(noise(2, 4, 4))
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="2 images came"), stack_writer(path, (3, 4, 4), 0.5) as stack:
        stack.append(noise(2, 4, 4))
    with pytest.raises(ValueError, match="do not fit"), stack_writer(path, (3, 4, 4), 0.5) as stack:
        stack.append(noise(4, 4, 4))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["particle.mrcs"]


def test_map_is_a_valid_volume_with_its_origin_at_voxel_zero(tmp_path):
    """Would catch a map shown away from its model (ORIGIN, NSTART), swapped axes, or a wrong voxel size."""
    data = noise(6, 6, 6)
    path = tmp_path / "map.mrc"
    write_map(path, Map(data, 0.358))
    assert valid(path)
    with mrcfile.open(path) as mrc:
        np.testing.assert_array_equal(mrc.data, data)
        assert mrc.is_volume()
        assert mrc.header.ispg == 1
        assert mrc.header.mode == 2
        assert mrc.header.origin.item() == (0, 0, 0)
        assert (mrc.header.nxstart, mrc.header.nystart, mrc.header.nzstart) == (0, 0, 0)
        assert np.allclose(mrc.voxel_size.item(), 0.358)
    again = read_map(path)
    np.testing.assert_array_equal(again.data, data)
    assert again.pixel_A == 0.358
    assert again.data.dtype == np.float32


def test_values_that_are_not_finite_keep_the_header_valid(tmp_path):
    """Would catch NaN statistics in the header of a map with an empty half."""
    data = noise(4, 4, 4)
    data[0, 0, 0] = np.nan
    write_map(tmp_path / "map.mrc", Map(data, 1.1))
    write_stack(tmp_path / "stack.mrcs", data, 1.1)
    with mrcfile.open(tmp_path / "map.mrc") as mrc:
        assert mrc.header.dmin > mrc.header.dmax
    with mrcfile.open(tmp_path / "stack.mrcs") as mrc:
        assert mrc.header.rms < 0


def test_missing_files_are_named(tmp_path):
    """Would catch a traceback where a file that the user named is not there."""
    with pytest.raises(InputError, match="no such map"):
        read_map(tmp_path / "map.mrc")
    with pytest.raises(InputError, match="no such stack"):
        stack_info(tmp_path / "particle.mrcs")
