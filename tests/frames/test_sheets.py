import mrcfile
import numpy as np
import pytest

from perrin.frames import sheets

PIXEL_A = 0.358


def graphene(angles, n=152, pixel_A=PIXEL_A, amplitudes=(0.3, 0.2), noise=0.2, seed=0):
    """An averaged field of 17 counts with sheets of two orders of reflections, random phases."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((n, n)) * pixel_A
    image = np.full((n, n), 17.0) + noise * rng.standard_normal((n, n))
    for angle, amplitude in zip(angles, amplitudes):
        for i, (kx, ky) in enumerate(sheets.reflections(angle, orders=2)):
            share = 1.0 if i < 3 else 0.4
            image += share * amplitude * np.cos(2 * np.pi * (kx * x + ky * y) + rng.uniform(0, 2 * np.pi))
    return image


@pytest.mark.parametrize("angles", [(7, 24), (59.8, 13), (0.1, 30), (20, 25), (44.4,)])
def test_planted_angles_are_found(angles):
    """Catches errors of convention (the second order is turned by 30 degrees), the wrap at 60, merged peaks."""
    found = sheets.find_sheets(graphene(angles), PIXEL_A)["angle_deg"]
    assert len(found) == len(angles)
    for angle in angles:
        assert np.abs(sheets.difference_deg(found, angle)).min() < 0.1


def test_amplitudes_are_those_planted():
    """Catches a lost factor of two between a cosine and its two exponentials, or a window left in."""
    fit = sheets.find_sheets(graphene((7, 24)), PIXEL_A)
    strongest = np.sort(fit["amplitude"])[::-1] * 17
    assert np.allclose(strongest, (0.3, 0.2), atol=0.01)


def test_the_pixel_size_is_checked():
    """Catches an inverted ratio: pixels of 0.3616 A that are said to be of 0.358 A give a scale of 1.01."""
    fit = sheets.find_sheets(graphene((7, 24), pixel_A=0.358 * 1.01), 0.358)
    assert fit["scale"] == pytest.approx(1.01, abs=1e-3)


def test_noise_holds_no_sheet():
    """Catches a threshold that any field passes."""
    found = [sheets.find_sheets(graphene((), noise=1.0, seed=s), PIXEL_A)["angle_deg"] for s in range(20)]
    assert sum(map(len, found)) == 0


def test_angles_average_on_the_circle():
    """Catches means of angles that straddle 0 and 60."""
    assert sheets.mean_angle_deg([59, 1, np.nan]) == pytest.approx(0, abs=1e-9)
    assert sheets.mean_angle_deg([10, 20]) == pytest.approx(15)
    assert sheets.difference_deg(1, 59) == pytest.approx(2)
    assert sheets.spread_deg([59, 1, 59, 1]) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(("name", "truth"), [("pt314", (7, 24)), ("pt201_cone", (-11, 3))])
def test_angles_of_the_test_movies(shared, name, truth):
    """The movies of other physics: 300 frames give both angles within 0.3 degrees."""
    with mrcfile.mmap(shared / "data" / name / "movie.mrc", permissive=True) as movie:
        mean = np.asarray(movie.data[600:900], np.float32).mean(0)
    fit = sheets.find_sheets(mean, PIXEL_A)
    for angle in truth:
        assert np.abs(sheets.difference_deg(fit["angle_deg"], angle)).min() < 0.3
    assert fit["scale"] == pytest.approx(1, abs=0.005)
