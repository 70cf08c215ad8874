"""Places that a person picked."""

import numpy as np
import pytest

from perrin.files.errors import InputError
from perrin.files.positions import read_positions


def test_eman_corners_become_centres(tmp_path):
    """Catches a half box that is not added, and files of EMAN 1 with a fifth column."""
    (tmp_path / "a.box").write_text("10 20 96 96 -3\n\n0.5\t7\t64\t64\n")
    place, box = read_positions(tmp_path / "a.box")
    assert np.array_equal(place, [[58, 68], [32.5, 39]])
    assert box.tolist() == [96, 64]


@pytest.mark.parametrize("mark", [",", "\t"])
def test_tables_hold_centres(tmp_path, mark):
    """Catches columns taken by their order, and an empty box that becomes a number."""
    rows = [["box_px", "y_px", "x_px"], ["80", "2.5", "1"], ["", "4", "3"]]
    (tmp_path / "a.csv").write_text("\n".join(mark.join(row) for row in rows) + "\n")
    place, box = read_positions(tmp_path / "a.csv")
    assert np.array_equal(place, [[1, 2.5], [3, 4]])
    assert box.tolist() == [80, 0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.box", "1 2 three 4\n", "line 1: an EMAN box is"),
        ("a.box", "1 2 64 96\n", "line 1: a box of 64 x 96 px; it must be square"),
        ("a.box", "\n", "holds no positions"),
        ("a.csv", "x,y_px\n1,2\n", "lacks the column x_px"),
        ("a.csv", "x_px,y_px\n1,two\n", "position 1 is not a number"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path, name, text, message):
    """Catches a traceback, or places that are silently left out."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_positions(tmp_path / name)
    with pytest.raises(InputError, match="no such file"):
        read_positions(tmp_path / "none.box")
