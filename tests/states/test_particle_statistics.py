"""`python -m perrin stats`: any file, the JSON that is promised, one sentence for input that has no answer."""

import json
import subprocess
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest
from clusters import octahedron, shuffled, sphere
from scipy.spatial.transform import Rotation

from perrin.__main__ import main
from perrin.atoms.density import simulate_density
from perrin.atoms.in_map import MAP_COLUMNS
from perrin.files.atomic import plain
from perrin.files.coordinates import read_coordinates
from perrin.files.errors import InputError
from perrin.files.maps import write_map
from perrin.files.models import write_atoms, write_cif, write_pdb, write_xyz
from perrin.files.records import Atoms
from perrin.files.tables import read_table
from perrin.states.particle import particle, particle_of
from perrin.states.statistics import ATOM_STATS_COLUMNS

A = 3.9242
ROOT = Path(__file__).resolve().parents[2]


def platinum(xyz):
    n = len(xyz)
    return Atoms(np.asarray(xyz, float), np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), "Pt")


def plain_xyz(path, xyz, symbols="Pt"):
    symbols = [symbols] * len(xyz) if isinstance(symbols, str) else symbols
    rows = [f"{s} {x:.10f} {y:.10f} {z:.10f}" for s, (x, y, z) in zip(symbols, xyz)]
    path.write_text("\n".join([str(len(xyz)), "", *rows, ""]))
    return path


@pytest.mark.parametrize("suffix", ["csv", "xyz", "pdb", "cif", "plain.xyz", "small.cif", "letters.csv"])
def test_every_form_gives_the_same_atoms(suffix, tmp_path):
    """Would catch an origin, an order or an atom lost between forms; errors of perrin's own files are read back."""
    xyz = octahedron(5) * A / 2 + [20, 21, 22]
    atoms, path = platinum(xyz), tmp_path / f"p.{suffix}"
    atoms.covariance_A2[:] = np.diag([0.01, 0.02, 0.03])
    write = {"csv": write_atoms, "xyz": write_xyz, "pdb": write_pdb, "cif": write_cif}.get(suffix)
    if write:
        write(path, atoms, 0, 1.0)
    elif suffix == "plain.xyz":
        plain_xyz(path, xyz)
    elif suffix == "letters.csv":
        path.write_text("X,Y,Z\n" + "".join(f"{x},{y},{z}\n" for x, y, z in xyz))
    else:
        small = gemmi.SmallStructure()
        small.cell, small.spacegroup_hm = gemmi.UnitCell(50, 50, 50, 90, 90, 90), "P 1"
        for k, (x, y, z) in enumerate(xyz):
            site = gemmi.SmallStructure.Site()
            site.label, site.type_symbol, site.element = f"Pt{k}", "Pt", gemmi.Element("Pt")
            site.fract = small.cell.fractionalize(gemmi.Position(x, y, z))
            small.add_site(site)
        path.write_text(small.make_cif_block().as_string())
    found = read_coordinates(path, "Pt")
    assert len(found) == 1 and np.allclose(found[0].xyz_A, xyz, atol=1e-3)
    if suffix in ("csv", "xyz", "cif"):
        assert np.allclose(found[0].sigma_A, np.sqrt([0.01, 0.02, 0.03]), atol=1e-4)
    else:
        assert np.isnan(found[0].sigma_A).all()


def test_files_of_several_models_and_elements(tmp_path):
    """Would catch frames run together, and a support or a ligand counted as part of the particle."""
    xyz = sphere(10) * A / 2
    one = plain_xyz(tmp_path / "one.xyz", xyz, ["Pt"] * 70 + ["C"] * 9)
    two = tmp_path / "two.xyz"
    two.write_text(one.read_text() * 2)
    assert [len(m) for m in read_coordinates(two, "Pt")] == [70, 70]
    with pytest.raises(InputError, match="C, Pt; say which one"):
        read_coordinates(one)


def test_json_keys_and_table(tmp_path, capsys):
    """Would catch a key renamed or missing, NaN in JSON, or a column without a meaning."""
    path = plain_xyz(tmp_path / "p.xyz", shuffled(octahedron(7, 2), A * 1.01, 1))
    out, atoms, pdb = tmp_path / "p.json", tmp_path / "p.csv", tmp_path / "p.pdb"
    assert main(["stats", str(path), "--json", str(out), "--csv", str(atoms), "--pdb", str(pdb)]) == 0
    assert "201 Pt, fcc" in capsys.readouterr().out
    facts = json.loads(out.read_text(), parse_constant=pytest.fail)
    assert facts["n_atoms"] == 201
    assert facts["cn_histogram"] == {"6": 24, "7": 36, "8": 6, "9": 56, "12": 79}
    assert facts["fraction_cn_gt8"] == pytest.approx(0.6716, abs=1e-4)
    assert facts["mean_nn_A"] == pytest.approx(1.01 * A / np.sqrt(2), abs=1e-6)
    assert [facts["lattice"][f"{k}_A"] for k in "abc"] == pytest.approx([1.01 * A] * 3, abs=1e-6)
    assert facts["mean_radial_strain_pct"] == pytest.approx(1.0, abs=1e-5)
    assert facts["crystallinity"]["order"] == pytest.approx(1.0, abs=1e-9)
    assert {"ks_distances", "ks_shells"} <= {*facts["crystallinity"]}
    assert facts["penetration_depth_A"] == pytest.approx(1.8, abs=0.15)
    assert facts["structure"] == "fcc" and facts["diameter_A"] > 15
    table = read_table(atoms)
    assert list(table.columns) == list(ATOM_STATS_COLUMNS) and len(table) == 201
    assert pdb.read_text().count("HETATM") == 201


def test_a_map_adds_columns_for_coordinates_alone(tmp_path, capsys):
    """Would catch --map without effect, or coordinates counted from the box centre, which the map does not hold."""
    xyz = sphere(18) * A / 2
    density = simulate_density(xyz, "Pt", 96, 0.358, 6.0)
    write_map(tmp_path / "map.mrc", density)
    path = plain_xyz(tmp_path / "p.xyz", xyz + 48 * 0.358)
    table, facts = tmp_path / "p.csv", tmp_path / "p.json"
    asked = [
        "stats",
        str(path),
        "--csv",
        str(table),
        "--json",
        str(facts),
        "--map",
        str(tmp_path / "map.mrc"),
    ]
    assert main(asked) == 0
    assert list(read_table(table).columns) == [*ATOM_STATS_COLUMNS, *MAP_COLUMNS]
    assert json.loads(facts.read_text(), parse_constant=pytest.fail)["map"]["mean_validity"] > 0.999
    centred = plain_xyz(tmp_path / "c.xyz", xyz)
    assert main(["stats", str(centred), *asked[2:]]) == 1
    assert "atoms lie outside the map" in capsys.readouterr().err


def bad_inputs(folder):
    """{name: (arguments, words of the sentence)}."""
    xyz = sphere(14) * A / 2
    hole = xyz.copy()
    hole[4, 1] = np.nan
    cases = {
        "absent": (["nothing.xyz"], "no such file"),
        "suffix": ([str(ROOT / "README.md")], "by the file's suffix"),
        "twice": (np.r_[xyz, xyz[:1]], "atoms 1 and 136 are 0.000 A apart"),
        "nan": (hole, "atom 5 of 135 has no finite position"),
        "two atoms": (xyz[:2], "2 atoms; statistics need at least 13"),
        "unknown element": ((xyz, ["Pt"] * 134 + ["Xx"]), "holds Pt, Xx; say which one"),
        "no metal of the table": ((xyz, "Og"), "'Og' is not among those known"),
        "too many": (np.random.default_rng(0).uniform(0, 400, (200_001, 3)), "the limit is 200000"),
    }
    for name, (what, words) in cases.items():
        if isinstance(what, np.ndarray):
            what = (what, "Pt")
        if isinstance(what, tuple):
            what = [str(plain_xyz(folder / f"{name.replace(' ', '_')}.xyz", *what))]
        yield name, what, words
    short = folder / "short.xyz"
    short.write_text("20\n\nPt 0 0 0\n")
    yield "cut off", [str(short)], "promises 20 atoms, 1 lines follow"
    good = str(plain_xyz(folder / "good.xyz", xyz))
    yield "other element", [good, "--element", "Au"], "holds Pt and no Au"
    yield "cut-off", [good, "--cutoff", "far"], "--cutoff is 'far'; valid are fitted, bulk, rdf or angstrom"
    yield "no such model", [good, "--model", "2"], "holds 1 models, not 2"


def test_bad_input_gets_one_sentence(tmp_path, capsys):
    """Would catch a traceback, a silent answer, or an exit code of success for what has no answer."""
    for name, arguments, words in bad_inputs(tmp_path):
        assert main(["stats", *arguments]) == 1, name
        said = capsys.readouterr()
        assert said.err.startswith("error: ") and said.err.count("\n") == 1 and words in said.err, (
            name,
            said.err,
        )
        assert said.out == ""


def test_other_hands_and_glasses_are_answered():
    """Would catch a mirror image told from its original, or strain invented for a glass."""
    rng = np.random.default_rng(4)
    xyz = sphere(18) * A / 2 + rng.normal(0, 0.06, (177, 3))
    first, mirror = particle_of(platinum(xyz)).facts, particle_of(platinum(xyz @ np.diag([1, 1, -1]))).facts
    for key in ("diameter_A", "fraction_cn_gt8", "mean_radial_strain_pct", "penetration_depth_A"):
        assert mirror[key] == pytest.approx(first[key], abs=1e-9)
    assert mirror["structure"] == first["structure"] == "fcc"
    glass = [np.zeros(3)]
    for point in rng.uniform(-9, 9, (6000, 3)):
        if np.linalg.norm(point) < 9 and np.linalg.norm(glass - point, axis=1).min() > 2.3:
            glass.append(point)
    facts = particle_of(platinum(np.array(glass))).facts
    assert facts["structure"] == "amorphous" and np.isnan(facts["mean_radial_strain_pct"])
    assert any("no strain" in sentence for sentence in facts["warnings"])


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path):
    """Would catch `stats FILE --json - | head` that ends in a complaint."""
    path = plain_xyz(tmp_path / "p.xyz", sphere(10) * A / 2)
    command = f"{sys.executable} -m perrin stats {path} --json - | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT / "workflow", capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_does_not_hang_together_is_said():
    """Would catch two particles in one file, or an atom in the void, taken for one particle without a word."""
    xyz = sphere(18) * A / 2
    assert not any("hang together" in w for w in particle_of(platinum(xyz)).facts["warnings"])
    for more in ([[60.0, 0, 0]], xyz[:20] + [60, 0, 0]):
        facts = particle_of(platinum(np.r_[xyz, more])).facts
        assert any(
            f"only 177 of the atoms hang together, the other {len(more)} " in w for w in facts["warnings"]
        )


def test_files_of_turned_particles_give_the_same_json(tmp_path):
    """Would catch any number of the JSON that hangs on how the file turns or lists its atoms."""
    rng = np.random.default_rng(2)
    xyz = sphere(18) * A / 2 + rng.normal(0, 0.1, (177, 3))
    turned = (xyz @ Rotation.random(rng=rng).as_matrix().T + [5, -3, 8])[rng.permutation(177)]
    first, second = (plain(particle_of(platinum(x)).facts) for x in (xyz, turned))

    def compare(a, b, where=""):
        if isinstance(a, dict):
            for key in a.keys() - {"along_xyz_A", "angles_deg", "angles_sigma_deg"}:
                compare(a[key], b[key], f"{where}.{key}")
        elif isinstance(a, str) or a and isinstance(a, list) and isinstance(a[0], str):
            assert a == b, where
        else:
            assert np.allclose(
                np.array(a, float), np.array(b, float), rtol=1e-9, atol=1e-9, equal_nan=True
            ), where

    compare(first, second)


def test_without_error_from_anywhere(tmp_path, measured):
    """Would catch a command that runs in a checkout's workflow folder only, or prints other than JSON with --json -."""
    measured("kang2025_stage1")
    path = ROOT.parent / "shared/data/coordinates/kang2025_stage1.csv"
    done = subprocess.run([sys.executable, "-m", "perrin", "stats", str(path), "--json", "-"], cwd=ROOT / "workflow",
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert json.loads(done.stdout)["n_atoms"] == particle(path).facts["n_atoms"] == 314
