"""Config and sample sheet: what is right is completed, what is wrong is said in one sentence."""

from pathlib import Path

import pytest

from perrin.files.errors import InputError
from perrin.settings import complete, read_schema, read_sheet, seed_of

SCHEMAS = Path(__file__).resolve().parents[1] / "config" / "schemas"
CONFIG = read_schema(SCHEMAS / "config.schema.yaml")
SHEET = read_schema(SCHEMAS / "trajectories.schema.yaml")
HEADER = "name\tmovie\tpixel_size_A\tframe_rate_hz\telement\tpolarity"


def fault(function, *arguments):
    """The sentence with which a reader refuses; it has one line and no names of exceptions."""
    with pytest.raises(InputError) as caught:
        function(*arguments)
    text = str(caught.value)
    assert "\n" not in text and "Error" not in text
    return text


def sheet(folder, *lines):
    path = folder / "sheet.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def defaults(schema):
    """All defaults of a schema, section by section."""
    return {
        key: defaults(below) if "properties" in below else below["default"]
        for key, below in schema["properties"].items()
    }


def test_an_empty_config_gets_every_default():
    """Would catch a key without a default, and sections that are not filled."""
    assert complete({}, CONFIG) == defaults(CONFIG)


def test_every_default_and_published_value_is_valid():
    """Would catch a default out of its own limits, and a preset that perrin itself refuses."""
    complete(complete({}, CONFIG), CONFIG)
    paper = {
        name: {key: below["x-paper"] for key, below in entry["properties"].items() if "x-paper" in below}
        for name, entry in CONFIG["properties"].items()
        if "properties" in entry
    }
    complete(paper, CONFIG)


def test_every_key_says_type_unit_and_meaning():
    """Would catch a key that the documentation cannot explain."""
    for name, entry in CONFIG["properties"].items():
        for key, below in entry.get("properties", {}).items():
            assert {"type", "default", "description"} <= set(below), f"{name}.{key}"
            assert below["description"].rstrip().endswith("]"), f"{name}.{key}: no unit in brackets"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"denoize": {}}, ["unknown key denoize", "did you mean denoise?"]),
        ({"denoise": {"componets": 3}}, ["unknown key denoise.componets", "n_components"]),
        (
            {"denoise": {"n_components": "many"}},
            ["denoise.n_components", "'many'", "whole number", "1 to 5000"],
        ),
        ({"denoise": {"n_components": 0}}, ["denoise.n_components is 0", "from 1 to 5000"]),
        ({"denoise": {"n_components": 2.5}}, ["denoise.n_components is 2.5", "whole number"]),
        ({"denoise": {"method": "publised"}}, ["denoise.method is 'publised'", "did you mean published?"]),
        ({"denoise": 5}, ["denoise is 5", "section"]),
        ({"seed": -1}, ["seed is -1", "from 0 to 4294967295"]),
        ({"track": {"shadow": 3}}, ["track.shadow is 3", "true or false"]),
    ],
)
def test_a_wrong_config_is_refused_by_key_value_limit_and_nearest_name(config, words):
    """Would catch a fault that passes, and a message that leaves the user without the key or the way out."""
    text = fault(complete, config, CONFIG)
    for word in words:
        assert word in text


def test_values_from_the_command_line_are_text_and_still_count():
    """Would catch --config 'denoise={n_components: 7}' being refused: Snakemake hands it over as text."""
    full = complete({"denoise": {"n_components": "7", "halves": "true"}}, CONFIG)
    assert full["denoise"]["n_components"] == 7
    assert full["denoise"]["halves"] is True


def test_a_sheet_is_read_with_types_blanks_and_comments(tmp_path):
    """Would catch numbers left as text, comments taken for rows, paths that are not the sheet's."""
    path = sheet(
        tmp_path,
        "# mine",
        HEADER + "\tx_px\ty_px\tlast_frame\tstart_model",
        "a\tmovies/a.mrc\t\t400\tpt\tbright\t\t\t\tmodels/a.xyz",
        "",
        " b \t/data/b.mrc\t0.358 \t1e3\tAu\tdark\t3.5\t4\t99\t",
    )
    a, b = read_sheet(path, SHEET)
    assert a["movie"] == (tmp_path / "movies/a.mrc").as_posix()
    assert a["start_model"] == (tmp_path / "models/a.xyz").as_posix() and b["start_model"] is None
    assert a["pixel_size_A"] is None and a["element"] == "Pt" and a["box_px"] is None
    assert b["name"] == "b" and b["movie"] == "/data/b.mrc"
    assert (b["pixel_size_A"], b["frame_rate_hz"], b["x_px"], b["last_frame"]) == (0.358, 1000.0, 3.5, 99)


GOOD = "a\tm.mrc\t0.358\t400\tPt\tbright"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([HEADER, GOOD, GOOD], ["line 3", "name a", "line 2", "differ"]),
        (
            [HEADER.replace("polarity", "polartiy"), GOOD],
            ["unknown column 'polartiy'", "did you mean polarity?"],
        ),
        ([HEADER.replace("\tpolarity", ""), GOOD[:-7]], ["column polarity is missing", "bright or dark"]),
        ([HEADER, GOOD.replace("Pt", "Xx")], ["line 2", "'Xx'", "Pt", "elements.yaml"]),
        (
            [HEADER, GOOD.replace("bright", "brigt")],
            ["line 2", "polarity is 'brigt'", "did you mean bright?"],
        ),
        ([HEADER, GOOD.replace("0.358", "35.8")], ["line 2", "pixel_size_A is 35.8", "0.02 to 5"]),
        ([HEADER, GOOD.replace("0.358", "0,358")], ["line 2", "pixel_size_A is '0,358'", "a number"]),
        ([HEADER, GOOD.replace("400", "")], ["line 2", "frame_rate_hz is missing"]),
        ([HEADER, GOOD + "\t7"], ["line 2", "7 cells for 6 columns"]),
        ([HEADER, GOOD.replace("a\t", "a b\t", 1)], ["line 2", "name is 'a b'", "letters"]),
        ([HEADER, GOOD.replace("a\t", "Summary\t", 1)], ["line 2", "Summary", "another name"]),
        ([HEADER.replace("\t", ",")], ["separated by ','", "tabs"]),
        ([HEADER + "\tbox_px", GOOD + "\t90"], ["line 2", "box_px is 90", "multiple of 16"]),
        ([HEADER + "\tx_px\ty_px", GOOD + "\t9\t"], ["line 2", "x_px and y_px go together"]),
        (
            [HEADER + "\tfirst_frame\tlast_frame", GOOD + "\t50\t20"],
            ["line 2", "last_frame is 20", "first_frame 50", "later"],
        ),
        ([HEADER], ["no trajectories"]),
        ([""], ["empty"]),
    ],
)
def test_a_wrong_sheet_is_refused_by_line_column_value_and_way_out(tmp_path, lines, words):
    """Would catch a fault that passes, and a message without the place."""
    text = fault(read_sheet, sheet(tmp_path, *lines), SHEET)
    for word in words:
        assert word in text


def test_a_sheet_that_is_missing_or_no_text_is_refused(tmp_path):
    """Would catch a traceback for the commonest slips."""
    assert "no such sample sheet" in fault(read_sheet, tmp_path / "none.tsv", SHEET)
    binary = tmp_path / "movie.mrc"
    binary.write_bytes(bytes(range(128, 256)))
    assert "not a text file" in fault(read_sheet, binary, SHEET)


def test_seeds_differ_between_stages_and_trajectories_and_stay():
    """Would catch one stream of numbers that is shared, and seeds that change from run to run."""
    seeds = [seed_of(1, stage, name) for stage in ("track", "model") for name in ("a", "b")]
    assert len({*seeds, seed_of(2, "track", "a")}) == 5
    assert seed_of(1, "track", "a") == 512404774
