"""Poses in STAR and csv: RELION's convention, proven by projecting an atom by it."""

import numpy as np
import pytest
import starfile
from gemmi import cif

from perrin.files.errors import InputError
from perrin.files.poses import read_poses, read_star, write_poses, write_star
from perrin.files.records import Poses
from perrin.imaging.rotations import angles_between, matrices, relion_angles

BOX_PX, PIXEL_A = 96, 0.358


def some_poses(count=50, seed=4):
    random = np.random.default_rng(seed)
    quaternion = random.normal(size=(count, 4))
    return Poses(
        frame=np.arange(count) + 3,
        quaternion=quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True),
        shift_A=random.normal(0, 2, (count, 2)),
        amplitude=random.uniform(0.5, 1.5, count),
        sigma_deg=random.uniform(0.1, 3, count),
    )


def euler_matrix(rot, tilt, psi):
    """RELION's matrix A of the volume to the image, element by element from its definition."""
    ca, cb, cg = np.cos(np.radians([rot, tilt, psi]))
    sa, sb, sg = np.sin(np.radians([rot, tilt, psi]))
    return np.array(
        [
            [cg * cb * ca - sg * sa, cg * cb * sa + sg * ca, -cg * sb],
            [-sg * cb * ca - cg * sa, -sg * cb * sa + cg * ca, sg * sb],
            [sb * ca, sb * sa, cb],
        ]
    )


def test_off_centre_atom_lands_where_relion_puts_it(tmp_path):
    """Would catch inverted angles, swapped axes, or shifts of the wrong sign: one atom, projected two ways.

    RELION moves an image by its rlnOrigin to bring the particle to the centre, and an atom at r in the volume is then
    seen at A r; perrin sees it at R r + shift in the image as it is.
    """
    poses = some_poses()
    atom = np.array([5.0, -3.0, 2.0])
    path = tmp_path / "poses.star"
    write_star(path, poses, "clean.mrcs", PIXEL_A, BOX_PX)
    table = starfile.read(path)["particles"]
    perrin = (matrices(poses.quaternion) @ atom)[:, :2] + poses.shift_A
    for row, seen in zip(table.itertuples(), perrin, strict=True):
        moved = seen + [row.rlnOriginXAngst, row.rlnOriginYAngst]
        relion = euler_matrix(row.rlnAngleRot, row.rlnAngleTilt, row.rlnAnglePsi) @ atom
        np.testing.assert_allclose(moved, relion[:2], atol=2e-5)


def test_known_angles(tmp_path):
    """Would catch a drift from the numbers of the reference: one quaternion with its known angles."""
    quaternion = np.array([[0.719846, -0.059391, -0.336824, -0.604023]])
    one = Poses(np.array([0]), quaternion, np.zeros((1, 2)), np.ones(1), np.ones(1))
    write_star(tmp_path / "poses.star", one, "clean.mrcs", PIXEL_A, BOX_PX)
    row = starfile.read(tmp_path / "poses.star", always_dict=True)["particles"].iloc[0]
    np.testing.assert_allclose([row.rlnAngleRot, row.rlnAngleTilt, row.rlnAnglePsi], [30, 40, 50], atol=1e-4)


def test_star_has_what_relion_needs(tmp_path):
    """Would catch a missing optics column, image names from 0, or halves that RELION cannot read."""
    poses = some_poses(4)
    path = tmp_path / "poses.star"
    write_star(path, poses, "denoise/clean.mrcs", PIXEL_A, BOX_PX, halves=[1, 2, 1, 2], first_frame=2)
    tables = starfile.read(path)
    optics = tables["optics"].iloc[0] if hasattr(tables["optics"], "iloc") else tables["optics"]
    assert optics["rlnImagePixelSize"] == PIXEL_A
    assert optics["rlnImageSize"] == BOX_PX
    assert optics["rlnImageDimensionality"] == 2
    assert {"rlnOpticsGroup", "rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast"} <= set(
        optics.index
    )
    particles = tables["particles"]
    assert list(particles["rlnImageName"])[0] == "000002@denoise/clean.mrcs"
    assert list(particles["rlnRandomSubset"]) == [1, 2, 1, 2]
    assert list(particles["perrinFrame"]) == [3, 4, 5, 6]
    assert set(particles["rlnOpticsGroup"]) == {optics["rlnOpticsGroup"]}
    assert path.read_text().count("# version 30001") == 2
    assert {block.name for block in cif.read(str(path))} == {"optics", "particles"}


@pytest.mark.parametrize("kind", ["star", "csv"])
def test_round_trip(tmp_path, kind):
    """Would catch a column lost, a precision too low, or frames counted from another zero on the way back."""
    poses = some_poses()
    path = tmp_path / f"poses.{kind}"
    if kind == "star":
        write_star(path, poses, "clean.mrcs", PIXEL_A, BOX_PX, first_frame=2)
        again = read_star(path)
    else:
        write_poses(path, poses)
        again = read_poses(path)
    np.testing.assert_array_equal(again.frame, poses.frame)
    assert angles_between(matrices(again.quaternion), matrices(poses.quaternion)).max() < 1e-6
    np.testing.assert_allclose(again.shift_A, poses.shift_A, atol=1e-6)
    np.testing.assert_allclose(again.amplitude, poses.amplitude, atol=1e-6)
    np.testing.assert_allclose(again.sigma_deg, poses.sigma_deg, atol=1e-6)


def test_poles_of_the_angles(tmp_path):
    """Would catch a rotation lost where tilt is 0 or 180 and rot and psi are one angle, and scipy's warning."""
    angle = np.radians([0, 30, 170])
    about_z = np.stack([np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)], axis=-1)
    turned = np.stack([0 * angle, np.cos(angle / 2), np.sin(angle / 2), 0 * angle], axis=-1)
    quaternion = np.concatenate([about_z, turned])
    poses = Poses(np.arange(6), quaternion, np.zeros((6, 2)), np.ones(6), np.full(6, np.nan))
    path = tmp_path / "poses.star"
    write_star(path, poses, "clean.mrcs", PIXEL_A, BOX_PX)
    again = read_star(path)
    assert angles_between(matrices(again.quaternion), matrices(quaternion)).max() < 1e-6
    assert np.isnan(again.sigma_deg).all()


def test_both_rooms_speak_of_the_same_angles():
    """Would catch the angles of files and those of the library drifting apart: files may not import imaging."""
    from perrin.files.poses import relion_angles as in_files

    poses = some_poses()
    np.testing.assert_allclose(
        in_files(poses.quaternion), relion_angles(matrices(poses.quaternion)), atol=1e-9
    )


def test_star_of_relion_itself_is_read(tmp_path):
    """Would catch shifts in pixels (RELION 3.0) taken for angstrom, or labels with #numbers not understood."""
    path = tmp_path / "particles.star"
    path.write_text(
        "# version 30001\n\ndata_particles\n\nloop_ \n_rlnImageName #1 \n_rlnAngleRot #2 \n_rlnAngleTilt #3 \n"
        "_rlnAnglePsi #4 \n_rlnOriginX #5 \n_rlnOriginY #6 \n_rlnDetectorPixelSize #7 \n"
        "000007@a.mrcs 30 40 50 2.0 -1.0 0.5 \n\n"
    )
    poses = read_star(path)
    assert poses.frame.tolist() == [6]
    np.testing.assert_allclose(poses.shift_A, [[-1.0, 0.5]])
    np.testing.assert_allclose(matrices(poses.quaternion)[0], euler_matrix(30, 40, 50), atol=1e-12)
    assert poses.amplitude.tolist() == [1.0]


def test_files_that_are_no_poses_are_named(tmp_path):
    """Would catch a message from inside gemmi or pandas."""
    path = tmp_path / "poses.star"
    with pytest.raises(InputError, match="no such STAR"):
        read_star(path)
    path.write_text("data_optics\n_rlnVoltage 300\n")
    with pytest.raises(InputError, match="rlnAngleRot"):
        read_star(path)
    path.write_text("frame,x_px\n1,2\n")
    with pytest.raises(InputError, match="not a readable STAR"):
        read_star(path)
    table = tmp_path / "poses.csv"
    table.write_text("frame,qw\n1,2\n")
    with pytest.raises(InputError, match="qx"):
        read_poses(table)


def test_no_poses_at_all(tmp_path):
    """Would catch the crash of a window in which no frame was accepted."""
    none = some_poses(3).take(slice(0, 0))
    write_poses(tmp_path / "poses.csv", none)
    assert len(read_poses(tmp_path / "poses.csv")) == 0
    write_star(tmp_path / "poses.star", none, "clean.mrcs", PIXEL_A, BOX_PX)
    assert len(read_star(tmp_path / "poses.star")) == 0
