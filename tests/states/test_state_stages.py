"""The three stages on files: what they write, that failed windows pass through, that outputs are the same twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from clusters import sphere

from perrin.atoms.density import simulate_density
from perrin.atoms.in_map import MAP_COLUMNS
from perrin.files.atomic import write_json
from perrin.files.elements import element
from perrin.files.errors import InputError
from perrin.files.maps import write_map
from perrin.files.models import write_atoms
from perrin.files.records import Atoms
from perrin.files.tables import read_table, write_table
from perrin.states.describe import describe
from perrin.states.dynamics import dynamics
from perrin.states.statistics import ATOM_STATS_COLUMNS, frames_of, statistics
from perrin.states.summary import pearson, summary

A = 3.9242
SCHEMA = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "config/schemas/config.schema.yaml").read_text(encoding="utf-8")
)


def keys(stage, **other):
    """The config keys of a stage: the schema's defaults."""
    return {k: v["default"] for k, v in SCHEMA["properties"][stage]["properties"].items()} | other


HEADLINES = (
    "n_atoms",
    "diameter_A",
    "fraction_cn_gt8",
    "mean_radial_strain_pct",
    "penetration_depth_A",
    "crystallinity",
)


def model(xyz, sigma=0.05):
    n = len(xyz)
    return Atoms(xyz, np.ones(n), np.tile(np.eye(3) * sigma**2, (n, 1, 1)), np.full(n, 0.999), "Pt")


def write_window(folder, window, xyz, verdict="good"):
    folder = folder / window
    folder.mkdir(parents=True)
    write_atoms(folder / "atoms.csv", model(xyz), 96, 0.358)
    write_json(folder / "model.json", {"verdict": verdict, "why": "as planned", "n_atoms": len(xyz)})
    statistics(
        atoms=folder / "atoms.csv", model_json=folder / "model.json", atoms_stats=folder / "atoms_stats.csv",
        state=folder / "state.csv", depth=folder / "depth.csv", strain_pdb=folder / "strain.pdb", name="one",
        window=window, element="Pt", frame_rate_hz=400.0, seed=1, **keys("statistics", draws=40),
    )  # fmt: skip
    return folder


def run_dynamics(folder, windows):
    table = {"window": windows, "first_frame": [frames_of(w)[0] for w in windows]}
    write_table(folder / "windows.tsv", table, {"window": ("", "name"), "first_frame": ("", "frame")})
    each = {
        name: [folder / w / file for w in windows]
        for name, file in [("atoms", "atoms.csv"), ("states", "state.csv"), ("model_jsons", "model.json")]
    }
    out = {name: folder / f"{name}.csv" for name in ("states_csv", "changes", "lives", "core", "rates")}
    dynamics(
        windows=folder / "windows.tsv", **each, **out, category=folder / "category.json",
        trajectory_xyz=folder / "trajectory.extxyz", name="one", element="Pt", frame_rate_hz=400.0, seed=1,
        **keys("dynamics"),
    )  # fmt: skip
    return out


@pytest.fixture(scope="module")
def trajectory(tmp_path_factory):
    """Four windows of an etched crystal, the third failed; with the atoms that left."""
    folder = tmp_path_factory.mktemp("one")
    rng = np.random.default_rng(0)
    points = sphere(18) * A / 2
    order = np.argsort(-points @ [1, 2, 3], kind="stable")
    windows, lost = [], [0, 9, None, 20]
    for k, gone in enumerate(lost):
        windows.append(f"f{1000 * k:06d}-{1000 * k + 999:06d}")
        xyz = np.zeros((0, 3)) if gone is None else points[np.sort(order[gone:])]
        write_window(
            folder, windows[-1], xyz + rng.normal(0, 0.05, xyz.shape), "failed" if gone is None else "good"
        )
    return folder, windows, run_dynamics(folder, windows), points[order]


def test_state_row(trajectory):
    """Would catch a headline number without interval, or an interval that does not hold it."""
    folder, windows, _, _ = trajectory
    row = read_table(folder / windows[0] / "state.csv").iloc[0]
    assert (row["first_frame"], row["last_frame"], row["time_s"]) == (0, 999, 1.25)
    for name in HEADLINES:
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"], name
    assert row["n_atoms"] == 177
    assert row["structure"] == "fcc"
    assert abs(row["mean_radial_strain_pct"]) < 1
    assert row["lattice_A"] == pytest.approx(A, abs=0.02)


def test_positions_are_those_of_the_model(trajectory):
    """Would catch an origin lost between the model's file and the statistics': both overlay the same map."""
    folder, windows, _, _ = trajectory
    wanted = read_table(folder / windows[0] / "atoms.csv")
    found = read_table(folder / windows[0] / "atoms_stats.csv")
    assert np.allclose(found[["x_A", "y_A", "z_A"]], wanted[["x_A", "y_A", "z_A"]], atol=1e-6)
    gemmi = pytest.importorskip("gemmi")
    structure = gemmi.read_structure(str(folder / windows[0] / "strain.pdb"))  # owns the atoms
    atoms = [site.atom for site in structure[0].all()]
    assert np.allclose([a.pos.tolist() for a in atoms], wanted[["x_A", "y_A", "z_A"]], atol=6e-4)
    radial = found["strain_radial_pct"].to_numpy()
    assert np.allclose([a.b_iso for a in atoms], radial, atol=6e-3)


def test_failed_windows_pass_through(trajectory):
    """Would catch a failed window that stops the trajectory, shifts the numbers of states, or counts as
    empty particle.
    """
    folder, windows, out, _ = trajectory
    row = read_table(folder / windows[2] / "state.csv").iloc[0]
    assert row["verdict"] == "failed"
    assert np.isnan(row[list(HEADLINES)].astype(float)).all()
    assert len(read_table(folder / windows[2] / "atoms_stats.csv")) == 0
    states = read_table(out["states_csv"])
    assert states["state"].tolist() == [1, 2, 3, 4]
    assert states["verdict"].tolist() == ["good", "good", "failed", "good"]
    rates = read_table(out["rates"])
    assert rates[["from_state", "to_state"]].to_numpy().tolist() == [[1, 2], [2, 4]]


def test_changes_are_the_planted_ones(trajectory):
    """Would catch an atom counted as lost that stayed: planted departures are found, each at its place."""
    _, _, out, ordered = trajectory
    changes = read_table(out["changes"])
    assert set(changes["change"]) == {"left"}
    assert changes.groupby(["from_state", "to_state"]).size().to_dict() == {(1, 2): 9, (2, 4): 11}
    found = changes[["x_A", "y_A", "z_A"]].to_numpy() - 48 * 0.358
    distance = np.linalg.norm(found[:, None] - ordered[:20], axis=2)
    assert sorted(distance.argmin(1).tolist()) == list(range(20))
    assert distance.min(1).max() < 0.3
    rates = read_table(out["rates"])
    assert (rates["arrived"] - rates["left"]).tolist() == (
        rates["atoms_after"] - rates["atoms_before"]
    ).tolist()
    core = read_table(out["core"])
    assert len(core) == 157
    lives = read_table(out["lives"])
    assert (lives["life"] == "left").sum() == 20
    assert lives["core"].sum() == 157


def test_trajectory_opens_in_ase(trajectory):
    """Would catch a trajectory file that no viewer reads, or positions moved on the way."""
    io = pytest.importorskip("ase.io")
    folder, windows, _, _ = trajectory
    frames = io.read(folder / "trajectory.extxyz", index=":", format="extxyz")
    assert [len(frame) for frame in frames] == [177, 168, 157]
    wanted = read_table(folder / windows[0] / "atoms.csv")[["x_A", "y_A", "z_A"]]
    assert np.allclose(frames[0].positions, wanted, atol=1e-5)
    assert set(frames[2].arrays["atom_id"]) < set(frames[0].arrays["atom_id"])


def test_turned_window_is_brought_back(tmp_path):
    """Would catch a window of another body frame compared as it is: nothing left, all but 5 atoms stayed."""
    points = sphere(18)
    points = points[(points @ [1, 2, 3]) < 11]
    first = points * A / 2
    second = (first[5:] @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])) + [0.5, 0.0, -0.3]
    windows = ["f000000-000499", "f000500-000999"]
    for window, xyz in zip(windows, (first, second)):
        write_window(tmp_path, window, xyz)
    out = run_dynamics(tmp_path, windows)
    assert read_table(out["states_csv"])["docked"].tolist() == [False, True]
    assert len(read_table(out["changes"])) == 5


def test_same_input_same_bytes(trajectory, tmp_path):
    """Would catch chance outside the seed, in tables or figures."""
    folder, windows, out, _ = trajectory
    before = (folder / windows[1] / "state.csv").read_bytes()
    statistics(
        atoms=folder / windows[1] / "atoms.csv", model_json=folder / windows[1] / "model.json",
        atoms_stats=tmp_path / "a.csv", state=tmp_path / "s.csv", depth=tmp_path / "d.csv",
        strain_pdb=tmp_path / "p.pdb", name="one",
        window=windows[1], element="Pt", frame_rate_hz=400.0, seed=1, **keys("statistics", draws=40),
    )  # fmt: skip
    assert (tmp_path / "s.csv").read_bytes() == before
    pictures = []
    for run in ("1", "2"):
        paths = {name: tmp_path / (run + name) for name in ("s.csv", "t.csv", "f.png", "f.svg")}
        summary(
            states=[out["states_csv"]], categories=[folder / "category.json"], states_table=paths["s.csv"],
            trajectories_table=paths["t.csv"], figure_png=paths["f.png"], figure_svg=paths["f.svg"],
            **keys("summary"),
        )  # fmt: skip
        pictures.append([path.read_bytes() for path in paths.values()])
    assert pictures[0] == pictures[1]
    row = read_table(tmp_path / "1t.csv").iloc[0]
    assert (row["states"], row["failed"], row["duration_s"], row["size_class"]) == (3, 1, 10.0, "small")
    assert row["net_change_pct"] == pytest.approx(-100 * 20 / 177, rel=1e-5)


def test_nothing_but_failures(tmp_path):
    """Would catch a crash of a trajectory whose windows all failed: tables without rows, verdict failed."""
    write_window(tmp_path, "f000000-000099", np.zeros((0, 3)), "failed")
    out = run_dynamics(tmp_path, ["f000000-000099"])
    facts = json.loads((tmp_path / "category.json").read_text())
    assert (facts["category"], facts["verdict"]) == ("undetermined", "failed")
    assert len(read_table(out["lives"])) == 0
    summary(
        states=[out["states_csv"]], categories=[tmp_path / "category.json"], states_table=tmp_path / "s.csv",
        trajectories_table=tmp_path / "t.csv", figure_png=tmp_path / "f.png", figure_svg=tmp_path / "f.svg",
        **keys("summary"),
    )  # fmt: skip
    assert read_table(tmp_path / "t.csv")["failed"].tolist() == [1]


def test_bad_input():
    """Would catch a traceback in place of a sentence."""
    with pytest.raises(InputError, match="f000000-001199"):
        frames_of("window1")
    xyz = sphere(10) * A / 2
    xyz[4, 1] = np.nan
    with pytest.raises(InputError, match="atom 5"):
        describe(model(xyz), element("Pt"), draws=20)


@pytest.mark.parametrize("rule", ["mirrored", "doubled", "amorphous"])
def test_strange_particles(rule):
    """Would catch a crash or a false crystal: a mirror image is as good, an atom given twice and a glass are seen."""
    rng = np.random.default_rng(3)
    xyz = sphere(14) * A / 2
    plain = describe(model(xyz), element("Pt"), draws=20)[1]
    if rule == "mirrored":
        found = describe(model(xyz * [1, 1, -1]), element("Pt"), draws=20)[1]
        for name in HEADLINES:
            assert found[name] == pytest.approx(plain[name], abs=1e-9)
    elif rule == "doubled":
        found = describe(model(np.r_[xyz, xyz[:1]]), element("Pt"), draws=20)[1]
        assert found["min_nearest_A"] == 0
        assert found["lattice_share"] < 1
        assert found["crystallinity"] < plain["crystallinity"]
    else:
        glass = [np.zeros(3)]
        for point in rng.uniform(-8, 8, (3000, 3)):
            if np.linalg.norm(point) < 8 and np.linalg.norm(glass - point, axis=1).min() > 2.3:
                glass.append(point)
        found = describe(model(np.array(glass)), element("Pt"), draws=20)[1]
        assert found["structure"] == "amorphous"
        assert np.isnan(found["mean_radial_strain_pct"])


def test_pearson():
    """Would catch R of two points, which is always 1."""
    assert np.isnan(pearson([1, 2], [3, 4])[0])
    assert pearson([1, 2, 3, np.nan], [2, 4, 6, 9])[0] == pytest.approx(1)


def test_a_map_adds_its_columns_and_its_numbers(tmp_path):
    """Would catch the map's columns missing from the table, atoms and map with different origins, or a failed window
    that reads a map without atoms.
    """
    xyz = sphere(18) * A / 2
    folder = write_window(tmp_path, "f000000-000999", xyz)
    density = simulate_density(xyz, "Pt", 96, 0.358, 6.0)
    for name in ("map", "half1", "half2"):
        write_map(folder / f"{name}.mrc", density)

    def run(halves=("half1", "half2")):
        statistics(
            atoms=folder / "atoms.csv", model_json=folder / "model.json", atoms_stats=folder / "atoms_stats.csv",
            state=folder / "state.csv", depth=folder / "depth.csv", strain_pdb=folder / "strain.pdb", name="one",
            window="f000000-000999", element="Pt", frame_rate_hz=400.0, seed=1, window_map=folder / "map.mrc",
            **{half: folder / f"{half}.mrc" for half in halves}, **keys("statistics", draws=20),
        )  # fmt: skip
        return read_table(folder / "atoms_stats.csv"), read_table(folder / "state.csv").iloc[0]

    before = read_table(folder / "atoms_stats.csv")
    assert list(before.columns) == list(ATOM_STATS_COLUMNS)
    table, row = run()
    assert list(table.columns) == [*ATOM_STATS_COLUMNS, *MAP_COLUMNS]
    assert table[list(ATOM_STATS_COLUMNS)].equals(before)
    assert table["validity"].min() > 0.999 and row["mean_validity"] > 0.999
    assert row["density_b_A2"] == pytest.approx(6.0, abs=0.1)
    assert row["mean_halves_correlation"] == pytest.approx(1)
    assert run(halves=())[0]["halves_correlation"].isna().all()
    write_map(folder / "map.mrc", type(density)(density.data[:60, :60, :60], 0.358))
    with pytest.raises(InputError, match="atoms lie outside the map"):
        run(halves=())
    write_map(folder / "map.mrc", type(density)(density.data[:60], 0.358))
    with pytest.raises(InputError, match="96 x 96 x 60 voxels"):
        run(halves=())
    write_json(folder / "model.json", {"verdict": "failed", "why": "as planned"})
    assert list(run()[0].columns) == [*ATOM_STATS_COLUMNS, *MAP_COLUMNS]
