"""Atomic models: the same positions in every format and program, on top of the map of the same box."""

import ase.io
import gemmi
import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.maps import write_map
from perrin.files.models import (
    ATOM_COLUMNS,
    file_origin_A,
    read_atoms,
    write_atoms,
    write_cif,
    write_pdb,
    write_trajectory_xyz,
    write_xyz,
)
from perrin.files.records import Atoms, Map

BOX_PX, PIXEL_A = 48, 0.4


def some_atoms(count=20, seed=5, extra=True):
    random = np.random.default_rng(seed)
    root = random.normal(0, 0.03, (count, 3, 3))
    return Atoms(
        xyz_A=random.uniform(-6, 6, (count, 3)),
        occupancy=random.uniform(0.3, 1.0, count),
        covariance_A2=np.einsum("nij,nkj->nik", root, root),
        probability=random.uniform(0.5, 1, count),
        element="Pt",
        extra={"cn": random.integers(3, 13, count)} if extra else {},
    )


def in_file(atoms):
    return atoms.xyz_A + (BOX_PX // 2) * PIXEL_A


def test_positions_agree_in_every_format_and_reader(tmp_path):
    """Would catch a shift, a swap of axes or too few digits in one of the formats: 0.001 A in gemmi and ASE."""
    atoms = some_atoms()
    write_cif(tmp_path / "a.cif", atoms, BOX_PX, PIXEL_A)
    write_pdb(tmp_path / "a.pdb", atoms, BOX_PX, PIXEL_A)
    write_xyz(tmp_path / "a.xyz", atoms, BOX_PX, PIXEL_A)
    write_atoms(tmp_path / "a.csv", atoms, BOX_PX, PIXEL_A)
    for name in ("a.cif", "a.pdb"):
        structure = gemmi.read_structure(str(tmp_path / name))
        found = [site.atom for site in structure[0].all()]
        np.testing.assert_allclose([atom.pos.tolist() for atom in found], in_file(atoms), atol=0.001)
        assert {atom.element.name for atom in found} == {"Pt"}
        np.testing.assert_allclose([atom.occ for atom in found], atoms.occupancy, atol=0.006)
        variance = np.trace(atoms.covariance_A2, axis1=1, axis2=2) / 3
        np.testing.assert_allclose([atom.b_iso for atom in found], 8 * np.pi**2 * variance, atol=0.006)
        u = np.array([atom.aniso.as_mat33().tolist() for atom in found])
        np.testing.assert_allclose(u, atoms.covariance_A2, atol=6e-5)
        assert structure.cell.a == pytest.approx(BOX_PX * PIXEL_A)
    for name in ("a.pdb", "a.xyz"):
        read = ase.io.read(tmp_path / name)
        np.testing.assert_allclose(read.positions, in_file(atoms), atol=0.001)
        assert set(read.symbols) == {"Pt"}
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=1, usecols=(2, 3, 4)),
        in_file(atoms),
        atol=0.001,
    )


@pytest.mark.parametrize("box_px", [24, 25])
def test_map_and_model_overlay(tmp_path, box_px):
    """Would catch half a voxel, half a box or swapped axes between a map and its model, by gemmi's reading of both.

    One atom at a time as a Gaussian on the map's voxels, the box centre at index n // 2: the centroid of the
    density, in the coordinates that the map's header gives, is the atom's position in the files.
    """
    atoms = some_atoms(3)
    atoms = Atoms(
        atoms.xyz_A / 4, *(getattr(atoms, name) for name in Atoms.__dataclass_fields__ if name != "xyz_A")
    )
    write_pdb(tmp_path / "a.pdb", atoms, box_px, PIXEL_A)
    model = gemmi.read_structure(str(tmp_path / "a.pdb"))
    axis = (np.arange(box_px) - box_px // 2) * PIXEL_A
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    for index, site in enumerate(model[0].all()):
        squared = (
            (x - atoms.xyz_A[index, 0]) ** 2
            + (y - atoms.xyz_A[index, 1]) ** 2
            + (z - atoms.xyz_A[index, 2]) ** 2
        )
        write_map(tmp_path / "a.mrc", Map(np.exp(-squared / (2 * 0.5**2)).astype(np.float32), PIXEL_A))
        density = gemmi.read_ccp4_map(str(tmp_path / "a.mrc"))
        density.setup(0.0)
        values = np.array(density.grid, copy=False)
        step = density.grid.get_position(1, 0, 0).x
        u, v, w = np.meshgrid(*(np.arange(size) * step for size in values.shape), indexing="ij")
        centroid = [np.sum(values * place, dtype=float) / values.sum(dtype=float) for place in (u, v, w)]
        np.testing.assert_allclose(centroid, site.atom.pos.tolist(), atol=0.002)


def test_errors_of_positions_are_in_the_columns_that_mmcif_has_for_them(tmp_path):
    """Would catch errors in the wrong rows or columns, or an unknown error written as nan."""
    atoms = some_atoms(5)
    atoms.covariance_A2[2] = np.nan
    write_cif(tmp_path / "a.cif", atoms, BOX_PX, PIXEL_A)
    sites = gemmi.cif.read(str(tmp_path / "a.cif"))[0]
    for index, axis in enumerate("xyz"):
        values = list(sites.find_loop(f"_atom_site.Cartn_{axis}_esd"))
        assert values[2] == "?"
        known = [float(value) for value in np.delete(values, 2)]
        np.testing.assert_allclose(known, np.delete(atoms.sigma_A[:, index], 2), atol=1e-5)


def test_any_number_may_take_the_b_column_of_a_pdb(tmp_path):
    """Would catch a strain map that colours the wrong atoms, or says nothing of what it shows."""
    atoms, strain = some_atoms(), np.linspace(-12.5, 9, 20)
    write_pdb(tmp_path / "strain.pdb", atoms, BOX_PX, PIXEL_A, b=strain, b_meaning="radial strain, %")
    sites = [site.atom for site in gemmi.read_structure(str(tmp_path / "strain.pdb"))[0].all()]
    np.testing.assert_allclose([atom.b_iso for atom in sites], strain, atol=0.006)
    np.testing.assert_allclose([atom.pos.tolist() for atom in sites], in_file(atoms), atol=0.001)
    text = (tmp_path / "strain.pdb").read_text()
    assert "radial strain, %" in text
    assert "ANISOU" not in text


def test_csv_round_trip_keeps_all(tmp_path):
    """Would catch a covariance without its off-diagonals, an extra column lost, or the origin added twice."""
    atoms = some_atoms()
    path = tmp_path / "atoms.csv"
    write_atoms(path, atoms, BOX_PX, PIXEL_A)
    again = read_atoms(path, BOX_PX, PIXEL_A)
    np.testing.assert_allclose(again.xyz_A, atoms.xyz_A, atol=1e-5)
    np.testing.assert_allclose(again.covariance_A2, atoms.covariance_A2, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(again.occupancy, atoms.occupancy, atol=1e-6)
    np.testing.assert_allclose(again.probability, atoms.probability, atol=1e-6)
    np.testing.assert_array_equal(again.extra["cn"], atoms.extra["cn"])
    assert again.element == "Pt"
    header = path.read_text().splitlines()[0].split(",")
    assert header[:6] == ["atom", "element", "x_A", "y_A", "z_A", "occupancy"]
    assert {"sigma_x_A", "sigma_y_A", "sigma_z_A", "probability", "cn"} <= set(header) <= set(ATOM_COLUMNS)


def test_extra_columns_need_a_meaning(tmp_path):
    """Would catch a column in atoms.csv that no one can explain."""
    atoms = some_atoms()
    atoms.extra["depth_A"] = np.arange(20.0)
    with pytest.raises(ValueError, match="depth_A"):
        write_atoms(tmp_path / "atoms.csv", atoms, BOX_PX, PIXEL_A)
    write_atoms(tmp_path / "atoms.csv", atoms, BOX_PX, PIXEL_A, {"depth_A": ("A", "depth below the surface")})
    np.testing.assert_array_equal(
        read_atoms(tmp_path / "atoms.csv", BOX_PX, PIXEL_A).extra["depth_A"], np.arange(20)
    )


def test_models_without_errors_or_without_atoms(tmp_path):
    """Would catch the crash of a failed window, which has files with no atoms, or of atoms without a covariance."""
    atoms = some_atoms(4, extra=False)
    bare = Atoms(atoms.xyz_A, atoms.occupancy, np.full((4, 3, 3), np.nan), atoms.probability, "Pt")
    for model in (bare, bare.take(slice(0, 0))):
        write_atoms(tmp_path / "a.csv", model, BOX_PX, PIXEL_A)
        again = read_atoms(tmp_path / "a.csv", BOX_PX, PIXEL_A)
        assert len(again) == len(model)
        assert again.covariance_A2.shape == (len(model), 3, 3)
        assert np.isnan(again.covariance_A2).all()
        write_cif(tmp_path / "a.cif", model, BOX_PX, PIXEL_A)
        write_pdb(tmp_path / "a.pdb", model, BOX_PX, PIXEL_A)
        write_xyz(tmp_path / "a.xyz", model, BOX_PX, PIXEL_A)
        for name in ("a.cif", "a.pdb"):
            structure = gemmi.read_structure(str(tmp_path / name))
            assert sum(model.count_atom_sites() for model in structure) == len(model)


def test_extended_xyz_carries_columns_and_facts(tmp_path):
    """Would catch Properties that do not match the columns, or values that a reader splits at blanks."""
    atoms = some_atoms()
    facts = {"window": "f000000-001199", "time_s": 1.5, "note": "a b", "verdict": "good"}
    write_xyz(tmp_path / "a.xyz", atoms, BOX_PX, PIXEL_A, **facts)
    read = ase.io.read(tmp_path / "a.xyz", format="extxyz")
    np.testing.assert_array_equal(read.arrays["cn"], atoms.extra["cn"])
    np.testing.assert_allclose(read.arrays["sigma_z"], atoms.sigma_A[:, 2], rtol=1e-6)
    assert {key: read.info[key] for key in facts} == facts
    assert not read.pbc.any()
    np.testing.assert_allclose(read.cell.lengths(), BOX_PX * PIXEL_A)


def test_trajectory_has_a_frame_a_window(tmp_path):
    """Would catch frames run together where the number of atoms changes, or times on the wrong frame."""
    models = [some_atoms(count, seed) for count, seed in [(20, 1), (17, 2), (0, 3), (18, 4)]]
    infos = [{"window": f"w{index}"} for index in range(4)]
    write_trajectory_xyz(tmp_path / "t.extxyz", models, [0.5, 1.5, 2.5, 3.5], BOX_PX, PIXEL_A, infos)
    frames = ase.io.read(tmp_path / "t.extxyz", ":", format="extxyz")
    assert [len(frame) for frame in frames] == [20, 17, 0, 18]
    assert [frame.info["time_s"] for frame in frames] == [0.5, 1.5, 2.5, 3.5]
    assert [frame.info["window"] for frame in frames] == ["w0", "w1", "w2", "w3"]
    np.testing.assert_allclose(frames[3].positions, in_file(models[3]), atol=1e-6)


def test_models_of_two_elements_or_without_coordinates_are_refused(tmp_path):
    """Would catch an alloy read as one metal, and a table of something else read as atoms."""
    path = tmp_path / "atoms.csv"
    path.write_text("element,x_A,y_A,z_A\nPt,1,2,3\nAu,1,2,3\n")
    with pytest.raises(InputError, match="Au, Pt"):
        read_atoms(path, BOX_PX, PIXEL_A)
    path.write_text("element,x,y,z\nPt,1,2,3\n")
    with pytest.raises(InputError, match="x_A"):
        read_atoms(path, BOX_PX, PIXEL_A)
    path.write_text("element,x_A,y_A,z_A\nPt,1,2,3\n")
    np.testing.assert_allclose(read_atoms(path, 48, 0.4).xyz_A, [[1 - 9.6, 2 - 9.6, 3 - 9.6]])
    assert file_origin_A(49, 0.4) == pytest.approx(9.6)
