"""Atomic models in files: csv (everything), mmCIF, PDB, extended XYZ.

In files, coordinates are counted from the centre of voxel (0, 0, 0) of the map of the same box: the library's
(from the box centre, index n // 2) plus (n // 2) * pixel size. Map and model then overlay in every viewer.
"""

import gemmi
import numpy as np

from perrin.files.atomic import write_text
from perrin.files.errors import InputError
from perrin.files.records import Atoms
from perrin.files.tables import read_table, write_table

PAIRS = [("xy", 0, 1), ("xz", 0, 2), ("yz", 1, 2)]
_FROM = "from the centre of voxel (0, 0, 0) of the map of the same box"
ATOM_COLUMNS = {
    "atom": ("", "number of the atom in this model, from 1"),
    "element": ("", "chemical symbol"),
    "x_A": ("A", f"position along x, {_FROM}"),
    "y_A": ("A", f"position along y, {_FROM}"),
    "z_A": ("A", f"position along z, {_FROM}"),
    "occupancy": ("", "share of the window's time, and of an atom's scattering, that this site holds"),
    "sigma_x_A": ("A", "standard deviation of the position along x; empty where unknown"),
    "sigma_y_A": ("A", "standard deviation of the position along y; empty where unknown"),
    "sigma_z_A": ("A", "standard deviation of the position along z; empty where unknown"),
    "cov_xy_A2": ("A^2", "covariance of the errors along x and y"),
    "cov_xz_A2": ("A^2", "covariance of the errors along x and z"),
    "cov_yz_A2": ("A^2", "covariance of the errors along y and z"),
    "probability": ("", "that the atom exists"),
    "cn": ("", "coordination number: neighbours within the first-shell distance"),
}
B_MEANING = "8 pi^2 times the mean variance of the position's error (not thermal motion)"


def file_origin_A(box_px, pixel_A):
    """What a file's coordinates have over the library's: the box centre from voxel (0, 0, 0), angstrom."""
    return (int(box_px) // 2) * float(pixel_A)


def write_atoms(path, atoms, box_px, pixel_A, extra_columns=None):
    """Write an atomic model as csv with all that is known of each atom.

    extra_columns : {name: (unit, meaning)} for names in atoms.extra that ATOM_COLUMNS has not got
    """
    xyz = atoms.xyz_A + file_origin_A(box_px, pixel_A)
    sigma = atoms.sigma_A
    table = {
        "atom": np.arange(1, len(atoms) + 1),
        "element": np.full(len(atoms), atoms.element, dtype=object),
    }
    table |= {f"{axis}_A": xyz[:, index] for index, axis in enumerate("xyz")}
    table["occupancy"] = atoms.occupancy
    table |= {f"sigma_{axis}_A": sigma[:, index] for index, axis in enumerate("xyz")}
    table |= {f"cov_{name}_A2": atoms.covariance_A2[:, i, j] for name, i, j in PAIRS}
    table["probability"] = atoms.probability
    table |= atoms.extra
    write_table(path, table, ATOM_COLUMNS | (extra_columns or {}))


def read_atoms(path, box_px, pixel_A):
    """Read the csv of `write_atoms`, or any with columns x_A, y_A, z_A, back into the library's frame.

    Columns that are absent: occupancy and probability 1, covariance NaN. Other columns come in Atoms.extra.

    >>> from perrin.files.records import Atoms
    >>> one = Atoms(np.zeros((1, 3)), np.ones(1), np.full((1, 3, 3), np.nan), np.ones(1), "Pt")
    >>> write_atoms("atoms.csv", one, 96, 0.358)  # at the box centre, in the file (48, 48, 48) voxels from the first
    >>> read_atoms("atoms.csv", 96, 0.358).xyz_A.round(6).tolist(), round(file_origin_A(96, 0.358), 3)
    ([[0.0, 0.0, 0.0]], 17.184)
    """
    table = read_table(path)
    missing = [name for name in ("x_A", "y_A", "z_A", "element") if name not in table]
    if missing:
        raise InputError(f"{path}: no atomic model: the columns {', '.join(missing)} are missing")
    elements = sorted(set(table["element"]))
    if len(elements) > 1:
        raise InputError(f"{path}: holds {', '.join(elements)}; a model has one element")

    def column(name, otherwise):
        return table[name].to_numpy(float) if name in table else np.full(len(table), otherwise)

    covariance = np.full((len(table), 3, 3), np.nan)
    for index, axis in enumerate("xyz"):
        covariance[:, index, index] = column(f"sigma_{axis}_A", np.nan) ** 2
    for name, i, j in PAIRS:
        covariance[:, i, j] = covariance[:, j, i] = column(f"cov_{name}_A2", np.nan)
    known = {*ATOM_COLUMNS} - {"cn"}
    return Atoms(
        xyz_A=table[["x_A", "y_A", "z_A"]].to_numpy(float) - file_origin_A(box_px, pixel_A),
        occupancy=column("occupancy", 1.0),
        covariance_A2=covariance,
        probability=column("probability", 1.0),
        element=elements[0] if elements else "X",
        extra={name: table[name].to_numpy() for name in table.columns if name not in known},
    )


def write_cif(path, atoms, box_px, pixel_A, title="perrin"):
    """Write an atomic model as mmCIF: occupancies, B and anisotropic U from the covariance of the errors.

    The errors themselves are in mmCIF's own columns for them, Cartn_x_esd, Cartn_y_esd, Cartn_z_esd.
    """
    document = _structure(atoms, box_px, pixel_A, title).make_mmcif_document()
    document[0].set_pair("_struct.pdbx_descriptor", gemmi.cif.quote(f"B and U hold {B_MEANING}"))
    sites = document[0].find_loop("_atom_site.id").get_loop()
    if sites:
        sites.add_columns([f"_atom_site.Cartn_{axis}_esd" for axis in "xyz"], "?")
        for axis, errors in zip("xyz", atoms.sigma_A.T, strict=True):
            column = document[0].find_loop(f"_atom_site.Cartn_{axis}_esd")
            for index, error in enumerate(errors):
                column[index] = f"{error:.5f}" if np.isfinite(error) else "?"
    write_text(path, document.as_string())


def write_pdb(path, atoms, box_px, pixel_A, title="perrin", b=None, b_meaning=B_MEANING):
    """Write an atomic model as PDB: occupancy, B and ANISOU from the errors' covariance, to 0.001 A.

    b : (n,) values for the B column instead (a strain, a coordination number), to colour atoms by in any viewer; then
        there is no ANISOU
    b_meaning : what the B column holds; it goes into a remark at the head of the file
    """
    structure = _structure(atoms, box_px, pixel_A, title)
    if b is not None:
        for site, value in zip(structure[0].all(), b, strict=True):
            site.atom.b_iso = float(value)
            site.atom.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
    remark = f"REMARK   3 B COLUMN: {b_meaning}\n"
    text = structure.make_pdb_string(gemmi.PdbWriteOptions(minimal=True))
    head, _, tail = text.partition("CRYST1")
    write_text(path, f"{head}{remark}CRYST1{tail}")


def write_xyz(path, atoms, box_px, pixel_A, **info):
    """Write an atomic model as extended XYZ, for OVITO and ASE; info becomes key=value pairs."""
    write_text(path, _xyz_frame(atoms, box_px, pixel_A, info))


def write_trajectory_xyz(path, models, times_s, box_px, pixel_A, infos=None):
    """Write the models of successive windows as one extended XYZ of several frames.

    models : list of Atoms; atoms keep the identity that the column "atom_id" of Atoms.extra gives them,
        where it is there
    times_s : centre of each window, seconds
    infos : list of dicts, further key=value pairs of each frame
    """
    infos = infos or [{} for _ in models]
    frames = [
        _xyz_frame(atoms, box_px, pixel_A, {"time_s": float(time), **info})
        for atoms, time, info in zip(models, times_s, infos, strict=True)
    ]
    write_text(path, "".join(frames))


def _structure(atoms, box_px, pixel_A, title):
    """A gemmi structure: one chain, one residue an atom, in a P 1 cell as large as the box."""
    structure = gemmi.Structure()
    structure.name = title
    edge = box_px * pixel_A
    structure.cell = gemmi.UnitCell(edge, edge, edge, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    chain = gemmi.Chain("A")
    element = gemmi.Element(atoms.element)
    xyz = atoms.xyz_A + file_origin_A(box_px, pixel_A)
    for index in range(len(atoms)):
        residue = gemmi.Residue()
        residue.name = atoms.element.upper()
        residue.seqid = gemmi.SeqId(str(index + 1))
        residue.het_flag = "H"
        residue.entity_type = gemmi.EntityType.NonPolymer
        residue.subchain = "A"
        atom = gemmi.Atom()
        atom.name = atoms.element.upper()
        atom.element = element
        atom.pos = gemmi.Position(*xyz[index])
        atom.occ = float(np.clip(atoms.occupancy[index], 0, 1))
        u = atoms.covariance_A2[index]
        if np.isfinite(u).all():
            atom.b_iso = float(8 * np.pi**2 * np.trace(u) / 3)
            atom.aniso = gemmi.SMat33f(u[0, 0], u[1, 1], u[2, 2], u[0, 1], u[0, 2], u[1, 2])
        else:
            atom.b_iso = 0.0
        atom.serial = index + 1
        residue.add_atom(atom)
        chain.add_residue(residue)
    model = gemmi.Model(1)
    model.add_chain(chain)
    structure.add_model(model)
    return structure


def _xyz_frame(atoms, box_px, pixel_A, info):
    """One frame of extended XYZ."""
    xyz = atoms.xyz_A + file_origin_A(box_px, pixel_A)
    columns = {"occupancy": atoms.occupancy, "probability": atoms.probability}
    columns |= {f"sigma_{axis}": atoms.sigma_A[:, index] for index, axis in enumerate("xyz")}
    columns |= atoms.extra
    kinds = {name: _XYZ_KINDS[np.asarray(values).dtype.kind] for name, values in columns.items()}
    edge = f"{box_px * pixel_A:.7g}"
    pairs = {"Lattice": f"{edge} 0 0 0 {edge} 0 0 0 {edge}", "pbc": "F F F"} | info
    properties = "species:S:1:pos:R:3" + "".join(f":{name}:{kind}:1" for name, kind in kinds.items())
    comment = " ".join(
        [f"Properties={properties}", *(f"{key}={_xyz_value(value)}" for key, value in pairs.items())]
    )
    lines = [str(len(atoms)), comment]
    for index in range(len(atoms)):
        values = [f"{value:.6f}" for value in xyz[index]]
        values += [_xyz_item(kinds[name], columns[name][index]) for name in columns]
        lines.append(" ".join([atoms.element, *values]))
    return "\n".join(lines) + "\n"


_XYZ_KINDS = {"f": "R", "i": "I", "u": "I", "b": "L", "O": "S", "U": "S", "T": "S"}


def _xyz_item(kind, value):
    if kind == "R":
        return f"{value:.7g}"
    if kind == "L":
        return "T" if value else "F"
    if kind == "S":
        return str(value).replace(" ", "_") or "-"
    return str(value)


def _xyz_value(value):
    """A value of the comment line, quoted where it has blanks."""
    if isinstance(value, (bool, np.bool_)):
        return "T" if value else "F"
    if isinstance(value, (float, np.floating)):
        return f"{value:.7g}"
    text = str(value)
    return f'"{text}"' if not text or set(text) & set(' "=,') else text
