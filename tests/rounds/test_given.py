"""A start from a given model: a particle that is no crystal is solved, a wrong model is not believed."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.cluster import Icosahedron, Octahedron
from scipy.spatial.transform import Rotation

from perrin.atoms.density import simulate_density
from perrin.files.accepted import Frames
from perrin.files.atomic import write_json
from perrin.files.elements import element
from perrin.files.errors import InputError
from perrin.files.maps import write_map
from perrin.files.models import read_atoms
from perrin.files.poses import read_poses
from perrin.files.stacks import write_stack
from perrin.files.tables import read_table, write_table
from perrin.imaging.grids import HALF_TURN
from perrin.imaging.rotations import angles_between, matrices, quaternions
from perrin.imaging.symmetry import own_motions
from perrin.rounds.average3d import average3d
from perrin.rounds.follow import angles_to
from perrin.rounds.given import average_from_model, read_start
from perrin.rounds.injected import mutual_pairs
from perrin.rounds.window3d import window3d
from perrin.simulate.images import RINGED, simulate_boxes

PIXEL, N, FRAMES, CONTRAST = 0.358, 64, 60, 1.3


def centred(atoms):
    return atoms.positions - atoms.positions.mean(0)


ICOSAHEDRON = centred(Icosahedron("Pt", 3, 3.95))  # 55 atoms
CUBOCTAHEDRON = centred(Octahedron("Pt", 5, 2, 3.95))  # 55 atoms


def filmed(atoms, seed, in_time):
    rng = np.random.default_rng(seed)
    now, rotation = Rotation.random(rng=rng), np.empty((FRAMES, 3, 3))
    for f in range(FRAMES):
        step = Rotation.from_rotvec(np.radians(7) / np.sqrt(3) * rng.standard_normal(3))
        now = step * now if in_time else Rotation.random(rng=rng)
        rotation[f] = now.as_matrix()
    shift = rng.normal(0, 0.3, 2) + np.cumsum(rng.normal(0, 0.1, (FRAMES, 2)), 0) * in_time
    images = simulate_boxes(atoms, quaternions(rotation), shift, N, PIXEL, CONTRAST, RINGED, seed=seed)
    number = np.arange(FRAMES)
    tracked = shift + rng.normal(0, 0.3, (FRAMES, 2))
    box = np.zeros((FRAMES, 2), int)
    return Frames(images, number, number, box, tracked, np.ones(FRAMES), PIXEL), rotation


SUFFIX = {
    "map": ".mrc",
    "half1": ".mrc",
    "half2": ".mrc",
    "clean": ".mrcs",
    "denoised": ".mrcs",
    "poses": ".star",
}
SUFFIX |= dict.fromkeys(("coverage", "lattice", "profile", "particle_json"), ".json")


def named(folder, *names):
    """Paths of files by the stages' names for them."""
    return {name: str(folder / (name + SUFFIX.get(name, ".csv"))) for name in names}


def written(folder, data, atoms):
    """The files of a trajectory as the stages before leave them, and the model."""
    for stack in ("clean", "denoised"):
        write_stack(folder / f"{stack}.mrcs", data.images, PIXEL)
    columns = ("frame", "x_px", "y_px", "box_x_px", "box_y_px")
    track = dict(zip(columns, (data.number, *data.centre_A.T / PIXEL, *np.zeros((2, FRAMES), int))))
    write_table(folder / "tracks.csv", track, {name: ("", name) for name in columns})
    judged = {"frame": data.number, "accepted": np.ones(FRAMES, int)}
    write_table(folder / "frames.csv", judged, {name: ("", name) for name in judged})
    write_json(folder / "particle_json.json", {"diameter_A": 13.0, "extent_A": 14.0})
    lines = [f"Pt {x:.4f} {y:.4f} {z:.4f}" for x, y, z in atoms + 11.0]
    (folder / "model.xyz").write_text("\n".join([str(len(atoms)), "", *lines]) + "\n")


def test_an_icosahedron_goes_through_the_stages(tmp_path):
    """Would catch poses that need a lattice, a frame that has the wrong one of equal images, atoms left unrefined or
    taken off by the window's lattice.
    """
    rng = np.random.default_rng(6)
    true = ICOSAHEDRON + rng.normal(0, 0.06, ICOSAHEDRON.shape)
    data, rotation = filmed(true, 7, True)
    written(tmp_path, data, ICOSAHEDRON)
    (tmp_path / "window").mkdir()
    stacks = named(tmp_path, "clean", "denoised", "frames", "tracks")
    maps = {"half_mode": "blocks", "reconstruction": "nufft", "ridge": 0.2, "iterations": 1}
    maps |= {
        "match_frames": "clean",
        "continuity_frames": "clean",
        "method": "continuity",
        "element": "Pt",
        "seed": 1,
    }
    both = ("poses", "poses_csv", "map", "half1", "half2", "coverage")
    average3d(
        **stacks, **named(tmp_path, *both, "correlation", "sites", "lattice", "particle_json"), **maps,
        frame_rate_hz=400, rounds=1, window_frames=40, polarity="bright", hand="depth",
        start_model=str(tmp_path / "model.xyz"), views="continuous",
    )  # fmt: skip
    facts = json.loads((tmp_path / "lattice.json").read_text())
    assert facts["verdict"] == "good", facts["why"]
    assert facts["method"] == "start_model" and facts["own_rotations"] == 60
    window3d(
        **stacks, **named(tmp_path, "sites", "lattice"), average_poses=str(tmp_path / "poses_csv.csv"),
        **named(tmp_path / "window", *both, "fsc", "rounds", "draft", "profile"), **maps,
        first_frame=0, last_frame=FRAMES - 1, n_rounds=3, regularise="none",
    )  # fmt: skip
    found = matrices(read_poses(tmp_path / "window" / "poses_csv.csv").quaternion)
    error = np.degrees(angles_to(rotation, found, own_motions(ICOSAHEDRON)))
    assert np.mean(error < 5) >= 0.97
    turned = np.degrees(angles_between(found[1:], found[:-1]))
    assert turned.max() < 25, "one branch from the first frame to the last"
    rounds = read_table(tmp_path / "window" / "rounds.csv")
    assert rounds["n_atoms"].iloc[-1] == 55
    seen = read_atoms(tmp_path / "sites.csv", N, PIXEL).xyz_A
    average = matrices(read_poses(tmp_path / "poses_csv.csv").quaternion)
    body = np.einsum("fji,fjk->fik", rotation, average)  # the same turn in all frames, up to the hand
    if np.degrees(angles_between(body, body[0])).max() > 20:
        body, seen = np.einsum("fji,fjk->fik", rotation, HALF_TURN @ average), -seen
    placed = seen @ Rotation.from_matrix(body).mean().as_matrix().T
    assert len(seen) == 55 and len(mutual_pairs(placed - placed.mean(0), true - true.mean(0), 0.3)) == 55


def test_views_without_order_are_given_their_poses():
    """Would catch neighbours that have a say where they are no neighbours."""
    data, rotation = filmed(ICOSAHEDRON, 7, False)
    solution, facts, verdict, why = average_from_model(data, element("Pt"), ICOSAHEDRON, "unrelated")
    error = np.degrees(angles_to(rotation, solution.rotation, own_motions(ICOSAHEDRON)))
    assert np.mean(error < 5) >= 0.97
    assert verdict == "good" and facts["views"] == "unrelated", why


@pytest.mark.parametrize("views", ["continuous", "unrelated"])
def test_a_wrong_model_is_not_believed(views):
    """Would catch a verdict that a particle of the right size and another structure passes."""
    data, _ = filmed(ICOSAHEDRON, 8, views == "continuous")
    few = data.take(slice(24))
    *_, verdict, why = average_from_model(few, element("Pt"), CUBOCTAHEDRON, views)
    assert verdict != "good", why


def test_an_empty_field_is_nobody():
    """Would catch the best of all poses, which explains some of any noise, taken for the particle."""
    data, _ = filmed(ICOSAHEDRON, 9, True)
    noise = np.random.default_rng(10).standard_normal(data.images[:60].shape).astype(np.float32)
    *_, verdict, why = average_from_model(
        replace(data.take(slice(60)), images=noise), element("Pt"), ICOSAHEDRON
    )
    assert verdict == "failed", why


def test_models_and_maps_are_read_about_their_centroid(tmp_path):
    """Would catch a start that is off its box, and a map whose axes or origin are not those of coordinates."""
    turned = ICOSAHEDRON @ Rotation.random(rng=np.random.default_rng(1)).as_matrix().T
    lines = [f"Pt {x:.4f} {y:.4f} {z:.4f}" for x, y, z in turned + [7.0, -3.0, 20.0]]
    (tmp_path / "ico.xyz").write_text("\n".join(["55", "", *lines]) + "\n")
    found = read_start(tmp_path / "ico.xyz", "Pt", N, PIXEL)
    np.testing.assert_allclose(found, turned - turned.mean(0), atol=1e-3)
    write_map(tmp_path / "ico.mrc", simulate_density(turned + [0.4, 0.2, 0], "Pt", 56, 0.4))
    seen = read_start(tmp_path / "ico.mrc", "Pt", N, PIXEL)
    assert len(mutual_pairs(seen, found, 0.3)) == 55


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("none.xyz", None, ["none.xyz", "no such file"]),
        ("bad.xyz", "5\n\nPt 0 0 0\n", ["bad.xyz", "promises 5 atoms"]),
        ("gold.xyz", "1\n\nAu 0 0 0\n", ["gold.xyz", "holds Au and no Pt"]),
        ("few.xyz", "1\n\nPt 0 0 0\n", ["few.xyz", "1 atoms", "at least 13"]),
        ("none.mrc", None, ["none.mrc", "no such map"]),
        ("bad.mrc", "no map", ["bad.mrc"]),
    ],
)
def test_a_start_that_cannot_be_used_is_one_sentence(tmp_path, name, text, words):
    """Would catch a traceback, or a model of another metal that is taken."""
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_start(tmp_path / name, "Pt", N, PIXEL)
    for word in words:
        assert word in str(caught.value)


def test_a_start_larger_than_the_box_is_refused(tmp_path):
    """Would catch positions in picometres or of another particle, which no pose can show."""
    lines = [f"Pt {x:.3f} {y:.3f} {z:.3f}" for x, y, z in 10 * ICOSAHEDRON]
    (tmp_path / "large.xyz").write_text("\n".join(["55", "", *lines]) + "\n")
    with pytest.raises(InputError, match="reaches .* box ends at 11.5 A"):
        read_start(tmp_path / "large.xyz", "Pt", N, PIXEL)
