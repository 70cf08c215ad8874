"""Tables: the same bytes for the same numbers, a meaning for every column, types that survive."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perrin.files.atomic import read_json
from perrin.files.errors import InputError
from perrin.files.tables import read_table, sidecar, write_table

COLUMNS = {
    "frame": ("", "frame of the movie, from 0"),
    "x_px": ("px", "centre along x"),
    "verdict": ("", "what became of it"),
    "accepted": ("", "whether it is used"),
    "unused": ("", "a column that this table has not got"),
}


def table():
    return {
        "frame": np.array([3, 1, 2]),
        "x_px": np.array([1 / 3, np.nan, -0.0], np.float64),
        "verdict": np.array(["good", "", "lost, found"], dtype=object),
        "accepted": np.array([True, False, True]),
    }


def test_bytes_of_a_known_table(tmp_path):
    """Would catch an index column, another order of rows, \\r\\n, "nan" for missing, -0, or digits that wander."""
    path = tmp_path / "tracks.csv"
    write_table(path, table(), COLUMNS)
    expected = b'frame,x_px,verdict,accepted\n3,0.3333333,good,True\n1,,,False\n2,0,"lost, found",True\n'
    assert path.read_bytes() == expected
    write_table(tmp_path / "tracks.tsv", pd.DataFrame(table()), COLUMNS)
    assert (
        (tmp_path / "tracks.tsv")
        .read_bytes()
        .startswith(b"frame\tx_px\tverdict\taccepted\n3\t0.3333333\tgood")
    )


def test_sidecar_says_what_each_column_means(tmp_path):
    """Would catch a sidecar that lists columns the table has not got, or lacks one that it has."""
    path = tmp_path / "tracks.csv"
    write_table(path, table(), COLUMNS)
    assert sidecar(path).name == "tracks.columns.json"
    columns = read_json(sidecar(path))["columns"]
    assert [column["name"] for column in columns] == list(table())
    assert columns[1] == {"name": "x_px", "unit": "px", "type": "number", "meaning": "centre along x"}


def test_column_without_a_meaning_is_refused(tmp_path):
    """Would catch a new column that nobody explained, and a table written before the refusal."""
    for columns in ({"frame": ("", "x")}, {**COLUMNS, "x_px": ("px", "")}):
        with pytest.raises(ValueError, match="x_px"):
            write_table(tmp_path / "tracks.csv", table(), columns)
    assert not list(tmp_path.iterdir())


def test_types_survive_with_rows_and_without(tmp_path):
    """Would catch integers coming back as floats, and the table of a failed window (no rows) as objects."""
    path = tmp_path / "tracks.csv"
    for rows in (slice(None), slice(0, 0)):
        write_table(path, {name: values[rows] for name, values in table().items()}, COLUMNS)
        again = read_table(path)
        assert [again[name].dtype.kind for name in table()] == ["i", "f", "O", "b"]
    write_table(path, table(), COLUMNS)
    again = read_table(path)
    assert again["verdict"].tolist() == ["good", "", "lost, found"]
    assert np.isnan(again["x_px"][1])
    assert again["accepted"].tolist() == [True, False, True]


def test_table_by_hand_without_sidecar(tmp_path):
    """Would catch text such as NA or nan read as a missing number, or a byte order mark in the first name."""
    path = tmp_path / "frames.csv"
    path.write_bytes(b"\xef\xbb\xbfframe,accepted,note,x\n1,true,NA,\n2,false,nan,1.5\n")
    again = read_table(path)
    assert again["frame"].tolist() == [1, 2]
    assert again["accepted"].tolist() == [True, False]
    assert again["note"].tolist() == ["NA", "nan"]
    assert again["frame"].dtype == np.int64
    assert np.isnan(again["x"][0])


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
def test_numbers_come_back_to_seven_digits(tmp_path_factory, numbers):
    """Would catch a format that loses digits of float32 values, of any size."""
    path = tmp_path_factory.mktemp("table") / "t.csv"
    write_table(path, {"x_px": np.array(numbers)}, COLUMNS)
    np.testing.assert_allclose(read_table(path)["x_px"], numbers, rtol=5.1e-7, atol=1e-45)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1, max_size=5))
def test_any_text_comes_back(tmp_path_factory, texts):
    """Would catch quotes, commas or non-ASCII letters in a reason breaking the table."""
    for suffix in (".csv", ".tsv"):
        path = tmp_path_factory.mktemp("table") / f"t{suffix}"
        write_table(path, {"frame": np.arange(len(texts)), "verdict": np.array(texts, dtype=object)}, COLUMNS)
        assert read_table(path)["verdict"].tolist() == texts


def test_wrong_files_are_named(tmp_path):
    """Would catch pandas' own words for a table that is missing, empty, or holds text for a number."""
    with pytest.raises(InputError, match="no such table"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(InputError, match="not a readable table"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.xlsx").write_text("")
    with pytest.raises(InputError, match="suffix"):
        read_table(tmp_path / "t.xlsx")
    write_table(tmp_path / "t.csv", table(), COLUMNS)
    (tmp_path / "t.csv").write_text("frame,x_px\n1,abc\n")
    with pytest.raises(InputError, match="x_px holds 'abc'"):
        read_table(tmp_path / "t.csv")


def test_the_quick_way_reads_what_the_careful_way_reads(tmp_path, monkeypatch):
    """Would catch a type, a missing value or a text that depends on the way in which a table is read."""
    path = tmp_path / "t.csv"
    columns = {n: ("", n) for n in ("n", "x", "said", "yes")}
    many = {
        "n": np.arange(-2, 3), "x": [1.5, np.nan, -0.0, 1e-300, np.inf], "said": ["", "NA", 'a "b", c', " nan", "1"],
        "yes": [True, False, True, True, False],
    }  # fmt: skip
    write_table(path, many, columns)
    edited = "n,x,said,yes\n1,,hello,True\n,2,NA,False\n"
    for text in (path.read_text(encoding="utf-8"), edited, "n,mine\n1,2\n", "x,n\n"):
        path.write_text(text, encoding="utf-8")
        for wanted in (None, ["n", "said", "absent"]):
            quick = read_table(path, columns=wanted)
            with monkeypatch.context() as patch:
                patch.setattr("perrin.files.tables._typed", lambda *_: None)
                careful = read_table(path, columns=wanted)
            pd.testing.assert_frame_equal(quick, careful, check_exact=True)
    assert list(read_table(path, columns=["n"])) == ["n"]
