import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, write_stack
from perrin.files.tables import read_table, write_table
from perrin.frames.bands import frequencies
from perrin.frames.graphene import METHODS, subtract_graphene
from perrin.frames.sheets import difference_deg, reflections

PIXEL_A, N, FIELD, COUNT = 0.358, 64, 128, 240
DEFAULTS = {"method": "static", "slow_background_A": 20.0, "hole_half_width_A1": 0.026, "noise": "measured"}


def movie_files(folder, sign=1, gain=1.0, particle=None, seed=0):
    """The files that tracking leaves: Poisson counts at 17 electrons, two sheets, a slow gradient, a walking box."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((FIELD, FIELD)) * PIXEL_A
    bright = 1 + 0.03 * np.sin(x / 9) + 0.02 * y / y.max()
    for angle, amplitude in ((7, 0.018), (24, 0.010)):
        for k in reflections(angle, orders=2):
            bright = bright + amplitude * np.cos(2 * np.pi * (k[0] * x + k[1] * y) + rng.uniform(0, 6))
    place = np.clip(64 + np.cumsum(rng.integers(-1, 2, (COUNT, 2)), 0), 34, 90)
    corner = place - N // 2
    boxes = np.stack([bright[j : j + N, i : i + N] for i, j in corner])
    if particle is not None:
        boxes = boxes * (1 + sign * particle)
    boxes = gain * rng.poisson(17 * boxes).astype(np.float32)
    mean_field = (gain * rng.poisson(17 * bright * 600) / 600).astype(np.float32)
    write_stack(folder / "particle.mrcs", sign * boxes, PIXEL_A)
    table = {
        "frame": np.arange(1000, 1000 + COUNT),
        "x_px": place[:, 0] + 0.2,
        "y_px": place[:, 1] - 0.3,
        "score": np.ones(COUNT),
        "verdict": np.full(COUNT, "ok"),
        "box_x_px": place[:, 0],
        "box_y_px": place[:, 1],
    }
    write_table(folder / "tracks.csv", table, dict.fromkeys(table, ("", "as tracked")))
    np.savez(
        folder / "spectrum.npz",
        mean_field=np.stack([mean_field, mean_field]),
        block_first=[1000, 1120],
        background_spectrum=np.full((2, N, N), np.nan),
        sign=sign,
        mean_count=17.0,
        extent_A=8.0,
    )


def run(folder, **options):
    subtract_graphene(
        particle=folder / "particle.mrcs",
        tracks=folder / "tracks.csv",
        spectrum=folder / "spectrum.npz",
        clean=folder / "clean.mrcs",
        sheets=folder / "sheets.csv",
        background_csv=folder / "background.csv",
        pixel_size_A=PIXEL_A,
        **{**DEFAULTS, **options},
    )
    return read_stack(folder / "clean.mrcs"), read_table(folder / "sheets.csv")


def spectrum_by_ring(images, edges):
    power = (np.abs(np.fft.rfft2(images)) ** 2).mean(0) / N**2
    k = frequencies(N, PIXEL_A)
    return np.array([power[(k >= a) & (k < b)].mean() for a, b in zip(edges[:-1], edges[1:])])


@pytest.mark.parametrize(("sign", "gain"), [(1, 1.0), (-1, 1.0), (1, 3.7)])
def test_clean_frames_are_white_with_unit_noise(tmp_path, sign, gain):
    """Catches a wrong normalisation, sheets left in, dark movies treated as bright, a camera's gain."""
    movie_files(tmp_path, sign, gain)
    clean, _ = run(tmp_path)
    assert clean.shape == (COUNT, N, N)
    rings = spectrum_by_ring(clean, np.arange(0.2, 1.36, 0.1))
    assert np.abs(rings - 1).max() < 0.03
    assert abs(clean.mean()) < 2e-3


def test_atoms_come_out_bright_from_either_polarity(tmp_path):
    """Catches a sign applied twice: a spot stays positive, with its height in units of the noise."""
    r2 = ((np.indices((N, N)) - N // 2) ** 2).sum(0)
    spot = 0.3 * np.exp(-r2 / (2 * 1.5**2))
    for sign in (1, -1):
        movie_files(tmp_path, sign, particle=spot)
        centre = run(tmp_path)[0].mean(0)[N // 2, N // 2]
        assert centre == pytest.approx(0.3 * np.sqrt(17), rel=0.15)


def test_sheets_are_reported_per_block(tmp_path):
    """Catches angles lost because the average was subtracted, frames counted from the wrong start."""
    movie_files(tmp_path)
    _, table = run(tmp_path)
    assert table["first_frame"].tolist() == [1000, 1120]
    assert table["last_frame"].tolist() == [1119, 1239]
    assert np.abs(difference_deg(table["angle_1_deg"], 7)).max() < 0.3
    assert np.abs(difference_deg(table["angle_2_deg"], 24)).max() < 0.3
    assert np.allclose(table["contrast_1_pct"], 1.8, atol=0.2)
    assert np.abs(table["scale"] - 1).max() < 0.003
    assert table["power_lost_pct"].isna().all()  # there is no particle whose power could be lost


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_away_what_it_says(tmp_path, method):
    """Catches a method that runs as another: power left at the sheets' reflections, over the noise."""
    movie_files(tmp_path)
    clean, _ = run(tmp_path, method=method)
    y, x = np.indices((N, N)) * PIXEL_A
    left = 0
    for angle in (7, 24):
        for k in reflections(angle, orders=2)[:3]:
            wave = np.exp(-2j * np.pi * (k[0] * x + k[1] * y))
            left += (np.abs((clean * wave).sum((1, 2))) ** 2).mean() / N**2 / 6
    # off leaves 4.5; holes without a window leave the side lobes that a box of 64 px gives the waves
    limits = {
        "off": (3.5, 6),
        "static": (0.9, 1.1),
        "notch": (0, 2.2),
        "both": (0, 0.9),
        "published": (0, 0.5),
    }
    low, high = limits[method]
    assert low < left < high


def test_frames_in_focus_agree_with_the_background(tmp_path):
    """Catches a share of the background that is not 1 where the movie stands still."""
    movie_files(tmp_path)
    run(tmp_path)
    table = read_table(tmp_path / "background.csv")
    z = (table["static_share"] - 1) / table["static_sigma"]
    assert abs(z.mean()) < 0.4
    assert 0.8 < z.std() < 1.25
    assert table["frame"].tolist() == list(range(1000, 1000 + COUNT))


def test_wrong_input_is_one_sentence(tmp_path):
    """Catches an unknown method, and boxes that do not belong to the track."""
    movie_files(tmp_path)
    with pytest.raises(InputError, match="static, notch"):
        run(tmp_path, method="magic")
    write_stack(tmp_path / "particle.mrcs", np.zeros((5, N, N), np.float32), PIXEL_A)
    with pytest.raises(InputError, match="240 rows for 5 boxes"):
        run(tmp_path)
    assert not (tmp_path / "clean.mrcs").exists()
