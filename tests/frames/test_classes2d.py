import numpy as np
import pytest
from PIL import Image
from tumbling import PIXEL_A

from perrin.files.atomic import read_json
from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info, write_stack
from perrin.files.tables import read_table, write_table
from perrin.frames.classes2d import classes2d, disc_mask

DEFAULTS = {
    "element": "Pt",
    "frame_override": None,
    "block_frames": 20,
    "align_with": "clean",
    "iterations": 2,
    "rotation_reach_deg": 20.0,
    "rotation_step_deg": 4.0,
    "shift_reach_A": 1.1,
    "rejection_sd": 4.0,
    "jump_limit_A": 4.0,
}


def run(folder, frames, centre, first=500, **options):
    count = len(frames)
    write_stack(folder / "clean.mrcs", frames, PIXEL_A)
    table = {
        "frame": np.arange(first, first + count),
        "x_px": 90 + centre[:, 0],
        "y_px": 80 + centre[:, 1],
        "verdict": np.full(count, "ok"),
        "box_x_px": np.full(count, 90),
        "box_y_px": np.full(count, 80),
    }
    write_table(folder / "tracks.csv", table, dict.fromkeys(table, ("", "as tracked")))
    classes2d(
        clean=folder / "clean.mrcs",
        denoised=folder / "clean.mrcs",
        tracks=folder / "tracks.csv",
        classes=folder / "classes.mrcs",
        frames=folder / "frames.csv",
        particle_json=folder / "particle.json",
        animation=folder / "classes.gif",
        sheet=folder / "sheet.png",
        **{**DEFAULTS, **options},
    )
    return read_table(folder / "frames.csv"), read_json(folder / "particle.json")


def test_a_good_movie_passes_whole(tmp_path, ball):
    """Catches rejected good frames, a wrong diameter, files of the wrong length or that viewers cannot open."""
    frames, centre, radius, _ = ball
    table, found = run(tmp_path, frames, centre)
    assert table["frame"].tolist() == list(range(500, 740))
    assert table["accepted"].mean() >= 0.98
    assert found["verdict"] == "good"
    assert found["diameter_A"] == pytest.approx(2 * radius, abs=1.0)
    assert found["diameter_A"] / 2 < found["mask_radius_A"] < found["diameter_A"] / 2 + 6
    assert found["classes"] == table["class"].max() + 1 == table["class"].nunique()
    assert 8 <= found["classes"] <= 12
    assert stack_info(tmp_path / "classes.mrcs")[0] == (found["classes"], 64, 64)
    with Image.open(tmp_path / "classes.gif") as gif:
        assert gif.n_frames == found["classes"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (found["classes"] * 66, 66)


def test_another_metal_is_doubted(tmp_path, ball):
    """Catches a verdict that does not tell of rings where the element has none."""
    frames, centre, _, _ = ball
    found = run(tmp_path, frames, centre, element="Cu")[1]
    assert found["verdict"] == "doubtful" and "correct pixel_size_A or element" in found["why"]
    assert found["lattice_scale"] == pytest.approx(3.615 / 3.92, abs=0.01)


def test_averages_show_the_particle_better_than_frames(tmp_path, ball):
    """Catches averages of frames that were not aligned: nearer to the noise-free frames of the block."""
    frames, centre, _, clean = ball
    table, _ = run(tmp_path, frames, centre)
    classes = read_stack(tmp_path / "classes.mrcs")
    mask = disc_mask(64, PIXEL_A, 8.0)

    def likeness(a, b):
        a, b = (a * mask).ravel(), (b * mask).ravel()
        return (a @ b) / np.sqrt((a @ a) * (b @ b))

    members = np.bincount(table["class"], minlength=12)
    gain = []
    for c in np.flatnonzero(members >= 10):
        own = np.flatnonzero(table["class"] == c)
        single = np.mean([likeness(frames[i], clean[i]) for i in own])
        gain.append(max(likeness(classes[c], clean[i]) for i in own) / single)
    assert np.median(gain) > 1.3


def test_planted_bad_frames_are_rejected(tmp_path, ball):
    """Catches rules that do not fire in the stage: blank, doubled, empty frames go, 98 % of the others stay."""
    frames, centre = ball[0].copy(), ball[1]
    rng = np.random.default_rng(5)
    frames[[20, 90, 170]] = 0
    frames[[40, 130]] += frames[[180, 210]]
    bad = [20, 40, 90, 130, 170]
    jumped = centre.copy()
    jumped[200] += 15
    frames[[60, 61]] = 0.5 * rng.standard_normal((2, 64, 64))
    table, _ = run(tmp_path, frames, jumped)
    rejected = np.flatnonzero(table["accepted"] == 0)
    assert set(bad + [60, 61, 200]) <= set(rejected)
    assert len(rejected) <= 8 + 0.02 * len(table)
    assert (table["reason"][rejected] != "").all()
    assert (table["reason"][table["accepted"] == 1] == "").all()


def test_a_person_decides(tmp_path, ball):
    """Catches an override that is not read, or that loses against the rules."""
    frames, centre = ball[0].copy(), ball[1]
    frames[33] = 0
    path = tmp_path / "override.csv"
    path.write_text("frame,accepted\n533,1\n610,0\n")
    table, _ = run(tmp_path, frames, centre, frame_override=path)
    assert table["accepted"][33] == 1
    assert table["accepted"][110] == 0
    assert (table["reason"][[33, 110]] == "by hand").sum() >= 1
    assert table["reason"][110] == "by hand"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame\n533\n", "lacks the column"),
        ("frame,accepted\n533,maybe\n", "line 2"),
        ("frame,accepted\n9,1\n", "500 to 739"),
    ],
)
def test_a_broken_override_is_one_sentence(tmp_path, ball, text, message):
    """Catches decisions that are silently dropped."""
    path = tmp_path / "override.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        run(tmp_path, ball[0], ball[1], frame_override=path)


def test_noise_fails_with_a_reason(tmp_path):
    """Catches a diameter made of nothing; the files exist all the same."""
    noise = np.random.default_rng(1).standard_normal((120, 64, 64)).astype(np.float32)
    table, found = run(tmp_path, noise, np.zeros((120, 2)))
    assert found["verdict"] == "failed"
    assert found["why"]
    assert len(table) == 120
    assert (tmp_path / "classes.gif").exists()
