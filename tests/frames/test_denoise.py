import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.stacks import read_stack, stack_info, write_stack
from perrin.files.tables import read_table
from perrin.frames.denoise import METHODS, denoise, halves_of

PIXEL_A = 0.358
DEFAULTS = {
    "method": "shrinkage",
    "n_components": 20,
    "halves": False,
    "half_block_frames": 30,
    "radius_A": 0,
    "highest_A1": 1.0,
    "time_reach_frames": 2,
    "seed": 0,
}


def run(folder, frames, **options):
    write_stack(folder / "clean.mrcs", frames, PIXEL_A)
    denoise(
        clean=folder / "clean.mrcs",
        denoised=folder / "denoised.mrcs",
        components=folder / "components.csv",
        **{**DEFAULTS, **options},
    )
    return read_stack(folder / "denoised.mrcs"), read_table(folder / "components.csv")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_a_stack_and_its_components(tmp_path, ball, method):
    """Catches a method that the stage cannot run, frames lost or in another order."""
    frames = ball[0]
    out, table = run(tmp_path, frames, method=method)
    assert stack_info(tmp_path / "denoised.mrcs")[0] == frames.shape
    assert np.isfinite(out).all()
    own = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(out, frames)])
    other = np.array([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(out[100:], frames)])
    assert own.mean() > other.mean() + 0.05
    if method == "off":
        assert len(table) == 0
        assert np.array_equal(out, frames)
    else:
        assert (np.diff(table["eigenvalue"]) <= 1e-3 * table["eigenvalue"].max()).all()


@pytest.mark.parametrize("method", ["exact", "shrinkage"])
def test_halves_do_not_know_of_each_other(tmp_path, ball, method):
    """Catches noise that leaks from one half into the other, which makes half maps agree on noise."""
    frames = ball[0]
    half = halves_of(len(frames), 30)
    assert half[[0, 29, 30, 59, 60]].tolist() == [0, 0, 1, 1, 0]
    before, table = run(tmp_path, frames, method=method, halves=True, radius_A=9)
    changed = frames.copy()
    changed[half == 1] += np.random.default_rng(9).standard_normal(changed[half == 1].shape)
    after, _ = run(tmp_path, changed, method=method, halves=True, radius_A=9)
    assert np.array_equal(after[half == 0], before[half == 0])
    assert not np.allclose(after[half == 1], before[half == 1], atol=1e-2)
    assert set(table["part"]) == {0, 1}


def test_half_precision_is_what_was_asked_for(tmp_path, ball):
    """Would catch a setting that reaches no file, or that changes what is stored beyond its rounding."""
    frames = ball[0][:20]
    exact = run(tmp_path, frames, method="off")[0]
    size = (tmp_path / "denoised.mrcs").stat().st_size
    half = run(tmp_path, frames, method="off", stored="float16")[0]
    assert 2 * ((tmp_path / "denoised.mrcs").stat().st_size - 1024) == size - 1024
    np.testing.assert_allclose(half, exact, rtol=2.0**-11, atol=1e-7)


def test_the_same_seed_gives_the_same_result(tmp_path, ball):
    """Catches random starts that do not come from the seed."""
    first, _ = run(tmp_path, ball[0], method="exact")
    second, _ = run(tmp_path, ball[0], method="exact")
    assert np.array_equal(first, second)


def test_an_unknown_method_is_one_sentence(tmp_path, ball):
    """Catches a misspelt method that runs as something else."""
    with pytest.raises(InputError, match="shrinkage, exact, published"):
        run(tmp_path, ball[0][:10], method="wavelets")
