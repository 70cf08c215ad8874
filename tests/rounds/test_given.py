"""A start from a given model: a particle that is no crystal is solved, a wrong model is not believed."""

import numpy as np
import pytest
from ase.cluster import Icosahedron, Octahedron
from scipy.spatial.transform import Rotation

from perrin.atoms.density import simulate_density
from perrin.files.accepted import Frames
from perrin.files.elements import element
from perrin.files.errors import InputError
from perrin.files.maps import write_map
from perrin.imaging.rotations import angles_between, quaternions
from perrin.imaging.symmetry import own_motions
from perrin.rounds.given import angles_to, average_from_model, read_start
from perrin.rounds.injected import mutual_pairs
from perrin.simulate.images import RINGED, simulate_boxes

PIXEL, N, FRAMES, CONTRAST = 0.358, 64, 80, 1.3


def centred(atoms):
    return atoms.positions - atoms.positions.mean(0)


ICOSAHEDRON = centred(Icosahedron("Pt", 3, 3.95))  # 55 atoms
CUBOCTAHEDRON = centred(Octahedron("Pt", 5, 2, 3.95))  # 55 atoms


def filmed(atoms, seed, in_time):
    rng = np.random.default_rng(seed)
    now, rotation = Rotation.random(rng=rng), np.empty((FRAMES, 3, 3))
    for f in range(FRAMES):
        step = Rotation.from_rotvec(np.radians(3) / np.sqrt(3) * rng.standard_normal(3))
        now = step * now if in_time else Rotation.random(rng=rng)
        rotation[f] = now.as_matrix()
    shift = rng.normal(0, 0.3, 2) + np.cumsum(rng.normal(0, 0.1, (FRAMES, 2)), 0) * in_time
    images = simulate_boxes(atoms, quaternions(rotation), shift, N, PIXEL, CONTRAST, RINGED, seed=seed)
    number = np.arange(FRAMES)
    tracked = shift + rng.normal(0, 0.3, (FRAMES, 2))
    box = np.zeros((FRAMES, 2), int)
    return Frames(images, number, number, box, tracked, np.ones(FRAMES), PIXEL), rotation


@pytest.mark.parametrize("views", ["continuous", "unrelated"])
def test_an_icosahedron_is_followed_and_refined(views):
    """Would catch poses that need a lattice, frames given the wrong one of equal images, or atoms left unrefined."""
    rng = np.random.default_rng(6)
    true = ICOSAHEDRON + rng.normal(0, 0.06, ICOSAHEDRON.shape)
    data, rotation = filmed(true, 7, views == "continuous")
    solution, facts, verdict, why = average_from_model(data, element("Pt"), ICOSAHEDRON, views)
    own = own_motions(ICOSAHEDRON)
    error = np.degrees(angles_to(rotation, solution.rotation, own))
    assert np.mean(error < 5) >= 0.97
    assert verdict == "good", why
    assert facts["views"] == views and facts["own_rotations"] == 60
    assert len(solution.xyz_A) == 55
    if views == "continuous":
        turned = np.degrees(angles_between(solution.rotation[1:], solution.rotation[:-1]))
        assert turned.max() < 15, "one branch from the first frame to the last"


def test_a_wrong_model_is_not_believed():
    """Would catch a verdict that a particle of the right size and another structure passes."""
    data, _ = filmed(ICOSAHEDRON, 8, True)
    *_, verdict, why = average_from_model(data, element("Pt"), CUBOCTAHEDRON)
    assert verdict != "good", why


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
