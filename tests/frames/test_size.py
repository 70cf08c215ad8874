import mrcfile
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation
from tumbling import tumbling_frames

from perrin.frames import size
from perrin.frames.background import field_at, subtract_slow

PIXEL_A = 0.358


def test_the_thickness_of_a_sharp_ball():
    """Catches a wrong chord: without blur the profile is sqrt(1 - r^2 / R^2)."""
    r = np.linspace(0, 12, 50)
    assert np.allclose(size.thickness_profile(r, 10, 0.0), np.sqrt(np.clip(1 - r**2 / 100, 0, 1)), atol=1e-9)


def test_blur_is_a_convolution_in_two_dimensions():
    """Catches a blur along one axis only: compared with random displacements."""
    rng = np.random.default_rng(0)
    r = np.array([0.0, 4.0, 9.0, 10.0, 11.5])
    d = 1.2 * rng.standard_normal((200_000, 2))
    expected = [np.sqrt(np.clip(100 - (x + d[:, 0]) ** 2 - d[:, 1] ** 2, 0, None)).mean() / 10 for x in r]
    assert np.allclose(size.thickness_profile(r, 10, 1.2), expected, atol=4e-3)


@pytest.mark.parametrize("radius_A", [6.0, 8.0])
def test_the_diameter_of_a_tumbling_ball(radius_A):
    """Catches a bias of the closed form: fcc balls with Gaussian-like atoms, whatever the tracker's error."""
    frames, centre, radius, _ = tumbling_frames(
        300, 80, radius_A, step_deg=15, jitter_px=1.0, seed=int(radius_A)
    )
    rng = np.random.default_rng(1)
    found = size.diameter(frames, PIXEL_A, centre + rng.standard_normal(centre.shape), groups=10)
    assert found["diameter_A"] == pytest.approx(2 * radius, abs=0.8)
    assert found["diameter_sigma_A"] < 0.8
    assert 2 * radius <= found["extent_A"] < 2 * radius + 6
    assert found["height_sd"] > 5


def test_known_offsets_sharpen_the_edge():
    """Catches offsets with the wrong sign or x and y exchanged: the fitted blur falls when they are given."""
    frames, centre, _, _ = tumbling_frames(200, 72, 6.0, step_deg=15, jitter_px=5.0, seed=3)
    blurred = size.diameter(frames, PIXEL_A, np.zeros_like(centre), groups=2)["blur_A"]
    given = size.diameter(frames, PIXEL_A, centre, groups=2)["blur_A"]
    crossed = size.diameter(frames, PIXEL_A, centre[:, ::-1], groups=2)["blur_A"]
    assert given < 1.0
    assert blurred > given + 0.5
    assert crossed > given + 0.5


def test_noise_has_no_diameter():
    """Catches a particle seen in nothing: the height stays within its errors."""
    noise = np.random.default_rng(5).standard_normal((200, 64, 64)).astype(np.float32)
    assert size.diameter(noise, PIXEL_A, np.zeros((200, 2)), groups=10)["height_sd"] < 5


def test_the_diameter_of_a_test_movie(shared):
    """The movie of other physics, 600 frames cut at true centres: within 1 A of the ball of 314 atoms."""
    folder = shared / "data" / "pt314"
    truth = pd.read_csv(folder / "truth" / "frames.csv")[:600]
    atoms = pd.read_csv(folder / "truth" / "atoms_state1.csv")[["x_A", "y_A", "z_A"]].to_numpy()
    turn = Rotation.from_quat(truth[["qw", "qx", "qy", "qz"]].to_numpy(), scalar_first=True).as_matrix()
    centre = truth[["x_px", "y_px"]].to_numpy() + (turn @ atoms.mean(0))[:, :2] / PIXEL_A
    with mrcfile.mmap(folder / "movie.mrc", permissive=True) as movie:
        counts = np.asarray(movie.data[:600], np.float32)
    place = np.rint(centre).astype(int)
    corner = place - 48
    boxes = np.stack([c[y : y + 96, x : x + 96] for c, (x, y) in zip(counts, corner)])
    field = np.stack([field_at(counts.mean(0)[None], np.zeros(1), 0, c, 96) for c in corner])
    frames = subtract_slow(boxes - field, np.isfinite(field), 9.0) / np.sqrt(boxes.mean())
    found = size.diameter(frames, PIXEL_A, centre - place, groups=8)
    # 3.987 A: lattice constant of this particle
    expected = 2 * (3 / 4 / np.pi * 314 * 3.987**3 / 4) ** (1 / 3)
    assert found["diameter_A"] == pytest.approx(expected, abs=1.0)
