"""Coordinates of particles from anywhere: (extended) XYZ, PDB, (mm)CIF, csv; positions as the file has them.

The files of perrin itself carry the errors of their positions, which are read back; those of other programs carry
none that could be told from thermal motion, so their B columns and anisotropic U are left alone.
"""

import logging
from pathlib import Path

import gemmi
import numpy as np

from perrin.files.elements import element as look_up
from perrin.files.errors import InputError
from perrin.files.models import PAIRS
from perrin.files.records import Atoms
from perrin.files.tables import read_table

log = logging.getLogger("perrin")

NAMELESS = {"", "X", "UNK", "?", "."}  # gemmi calls X what it does not know


def read_coordinates(path, element=None):
    """List of Atoms, one a model or frame of the file (most have one); origin and axes are the file's.

    path : .xyz, .extxyz (also ASE's), .pdb, .ent, .cif, .mmcif, .csv
    element : chemical symbol; of a file that names several, the atoms of this one are kept, and a file that names none
        is of this one. None: the file names exactly one.

    InputError, one sentence, for a file that is not there, cannot be read, has no atoms, several elements, one that is
    not a metal of config/elements.yaml, or atoms without a finite position.

    >>> text = "2\\n\\nPt 0 0 0\\nPt 2.775 0 0\\n"
    >>> _ = open("two.xyz", "w").write(text)
    >>> atoms = read_coordinates("two.xyz")[0]
    >>> atoms.element, atoms.xyz_A[1].tolist()
    ('Pt', [2.775, 0.0, 0.0])
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if path.suffix.lower() not in READERS:
        raise InputError(
            f"{path}: coordinates are read by the file's suffix, one of {', '.join(READERS)}, not {path.suffix!r}"
        )
    try:
        models = READERS[path.suffix.lower()](path)
    except (ValueError, IndexError, RuntimeError, UnicodeDecodeError) as error:
        said = str(error).strip().splitlines()
        raise InputError(
            f"{path}: not a readable {path.suffix} file ({said[0] if said else type(error).__name__}); "
            "write it again, or give the coordinates as .xyz"
        ) from error
    if not models:
        raise InputError(f"{path}: holds no model; give a file with coordinates")
    return [_one_element(path, number, model, element) for number, model in enumerate(models, 1)]


def _one_element(path, number, model, wanted):
    """Atoms of one element of (symbols, xyz, {column: values})."""
    symbols, xyz, columns = model
    where = str(path) if number == 1 else f"{path}, model {number}"
    names = np.array([_symbol(s) for s in symbols])
    found = sorted(set(names.tolist()))
    if not len(xyz):
        raise InputError(f"{where}: holds no atoms; give a file with coordinates")
    use = np.ones(len(xyz), bool)
    if wanted is None:
        if "" in found:
            raise InputError(
                f"{where}: atom {int(np.argmax(names == '')) + 1} has no element; give it, as in --element Pt"
            )
        if len(found) > 1:
            raise InputError(
                f"{where}: holds {', '.join(found)}; say which one to analyse, as in --element {found[0]}"
            )
        wanted = found[0]
    elif found != [""]:
        symbol = look_up(wanted).symbol
        use = names == symbol
        if use.any() and not use.all():
            log.warning("%s: %d atoms that are not %s are left out", where, (~use).sum(), symbol)
        if not use.any():
            raise InputError(
                f"{where}: holds {', '.join(n for n in found if n)} and no {symbol}; name one of these"
            )
    try:
        metal = look_up(wanted)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    xyz = xyz[use]
    if not np.isfinite(xyz).all():
        row = int(np.flatnonzero(use)[np.flatnonzero(~np.isfinite(xyz).all(1))[0]]) + 1
        raise InputError(
            f"{where}: atom {row} of {len(use)} has no finite position; leave it out of the file"
        )

    def column(name, otherwise):
        values = columns.get(name)
        return np.full(len(xyz), otherwise) if values is None else np.asarray(values, float)[use]

    covariance = np.full((len(xyz), 3, 3), np.nan)
    sigma = np.stack([column(f"sigma_{axis}", np.nan) for axis in "xyz"], 1)
    known = np.isfinite(sigma).all(1)
    covariance[known] = sigma[known, :, None] ** 2 * np.eye(3)
    for name, i, j in PAIRS:
        across = column(f"cov_{name}", 0.0)
        covariance[known, i, j] = covariance[known, j, i] = across[known]
    return Atoms(
        np.ascontiguousarray(xyz, float),
        column("occupancy", 1.0),
        covariance,
        column("probability", 1.0),
        metal.symbol,
    )


def _symbol(text):
    """A chemical symbol as written in the table of elements; "" for none."""
    text = str(text).strip()
    if text.isdigit() and 0 < int(text) < 119:
        return gemmi.Element(int(text)).name
    return "" if text.upper() in NAMELESS else text.capitalize()


def _xyz(path):
    """Frames of an XYZ file; the extended form by its Properties."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    models, at = [], 0
    while at < len(lines):
        if not lines[at].strip():
            at += 1
            continue
        count = int(lines[at].split()[0])
        rows = [line.split() for line in lines[at + 2 : at + 2 + count]]
        if len(rows) < count:
            raise ValueError(f"line {at + 1} promises {count} atoms, {len(rows)} lines follow")
        models.append(_xyz_frame(rows, _properties(lines[at + 1]), at + 3))
        at += 2 + count
    return models


def _properties(comment):
    """[(name, first column, last)] of the comment line of extended XYZ; symbol and position without it."""
    word = next((w for w in comment.split() if w.startswith("Properties=")), None)
    if word is None:
        return [("species", 0, 1), ("pos", 1, 4)]
    parts, found, at = word.split("=", 1)[1].strip('"').split(":"), [], 0
    for name, width in zip(parts[::3], parts[2::3], strict=True):
        found.append((name, at, at + int(width)))
        at += int(width)
    return found


def _xyz_frame(rows, properties, first_line):
    where = {name: slice(a, b) for name, a, b in properties}
    if "pos" not in where:
        raise ValueError("its Properties hold no pos")
    need = max(b for _, _, b in properties)
    for number, row in enumerate(rows, first_line):
        if len(row) < need:
            raise ValueError(f"line {number} has {len(row)} columns where {need} are needed")
    xyz = np.array([[float(v) for v in row[where["pos"]]] for row in rows], float).reshape(-1, 3)
    symbols = [row[where["species"]][0] if "species" in where else "" for row in rows]
    columns = {}
    for name in ("occupancy", "probability", "sigma_x", "sigma_y", "sigma_z"):
        if name in where:
            columns[name] = [float(row[where[name]][0]) for row in rows]
    return symbols, xyz, columns


def _pdb(path):
    structure = gemmi.read_pdb(str(path))
    return [_gemmi_model(model) for model in structure]


def _gemmi_model(model):
    atoms = [site.atom for site in model.all()]
    xyz = np.array([atom.pos.tolist() for atom in atoms], float).reshape(-1, 3)
    return [atom.element.name for atom in atoms], xyz, {}


def _cif(path):
    """mmCIF by its Cartesian positions; a crystallographer's CIF by its fractional ones, in P 1."""
    block = gemmi.cif.read(str(path)).sole_block()
    if block.find_loop("_atom_site.Cartn_x"):
        models = [_gemmi_model(model) for model in gemmi.make_structure_from_block(block)]
        esd = [block.find_loop(f"_atom_site.Cartn_{axis}_esd") for axis in "xyz"]
        if len(models) == 1 and all(esd) and len(esd[0]) == len(models[0][1]):
            columns = {
                f"sigma_{axis}": [gemmi.cif.as_number(v) for v in loop] for axis, loop in zip("xyz", esd)
            }
            models = [(*models[0][:2], columns)]
        return models
    small = gemmi.make_small_structure_from_block(block)
    if not small.sites:
        return []
    if len(small.get_all_unit_cell_sites()) != len(small.sites):
        raise ValueError(
            f"space group {small.spacegroup_hm or small.spacegroup}: a particle is one set of atoms, in P 1"
        )
    xyz = np.array([small.cell.orthogonalize(site.fract).tolist() for site in small.sites])
    return [([site.element.name for site in small.sites], xyz, {})]


def _csv(path):
    """A table with x_A, y_A, z_A (or x, y, z in angstrom, in either case) and, where there is one, element."""
    table = read_table(path)
    lower = {name.strip().lower(): name for name in table.columns}
    names = [lower.get(f"{axis}_a", lower.get(axis)) for axis in "xyz"]
    if None in names:
        raise InputError(f"{path}: no coordinates: it needs columns x_A, y_A, z_A (or x, y, z), in angstrom")
    for name in names:
        if table[name].dtype.kind not in "if":
            raise InputError(f"{path}: column {name} holds something that is not a number")
    symbols = table[lower["element"]].tolist() if "element" in lower else [""] * len(table)
    columns = {name: table[name] for name in ("occupancy", "probability") if name in table}
    columns |= {f"sigma_{axis}": table[f"sigma_{axis}_A"] for axis in "xyz" if f"sigma_{axis}_A" in table}
    columns |= {f"cov_{name}": table[f"cov_{name}_A2"] for name, _, _ in PAIRS if f"cov_{name}_A2" in table}
    return [(symbols, table[names].to_numpy(float), columns)]


READERS = {
    ".xyz": _xyz, ".extxyz": _xyz, ".pdb": _pdb, ".ent": _pdb, ".cif": _cif, ".mmcif": _cif, ".csv": _csv,
}  # fmt: skip
