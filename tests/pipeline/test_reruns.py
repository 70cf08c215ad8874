"""What runs when: fan-out, reruns by content, overrides by people, failures."""

import os
import shutil
import time
from pathlib import Path

import pytest
from runs import jobs, new_folder, ran

SHEET = ("--config", "trajectories=sheet.tsv")


@pytest.fixture
def work(finished, tmp_path):
    """A copy of the finished folder, to change."""
    shutil.copytree(finished[0], tmp_path / "run", symlinks=True)
    return tmp_path / "run"


@pytest.fixture
def edited(project):
    """edit(module, change) for the time of a test."""
    before = {}

    def edit(name, change):
        path = project / "workflow" / "perrin" / name
        before.setdefault(path, path.read_text())
        path.write_text(change(before[path]))

    yield edit
    for path, text in before.items():
        path.write_text(text)


def test_everything_runs_once_for_each_trajectory_and_window(finished):
    """Would catch a stage that is not wired, a missing fan-out, and a terminal that does not name the report."""
    folder, text = finished
    count = ran(text)
    per_trajectory = ["track", "subtract_graphene", "denoise", "classes2d", "average3d"]
    per_trajectory += ["segment", "events", "dynamics"]
    assert {rule: count[rule] for rule in per_trajectory} == dict.fromkeys(per_trajectory, 2)
    per_window = ["window3d", "model", "statistics"]
    assert {rule: count[rule] for rule in per_window} == dict.fromkeys(per_window, 6)
    assert (count["summary"], count["report"]) == (1, 1)
    assert f"The report is {(folder / 'results/report/index.html').resolve()}" in text
    records = list((folder / "results").glob("**/*.provenance.json"))
    assert len(records) == 2 * len(per_trajectory) + 6 * len(per_window) + 2


def test_trajectories_go_side_by_side(finished):
    """Would catch an input function that asks for several checkpoints, by which movies go one after another."""
    text = finished[1]
    begun = [
        line.split("=")[1].strip() for line in text.splitlines() if line.strip().startswith("wildcards: traj")
    ]
    first_of_two = begun.index("two")
    assert "one" in begun[first_of_two:], "all of one before any of two"


def test_afterwards_there_is_nothing_to_do(snakemake, work):
    """Would catch outputs that no run satisfies, and params that differ from run to run."""
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text


def test_docstrings_and_new_dates_rerun_nothing(snakemake, work, edited, project):
    """Would catch reruns after a fresh clone, a touch, or an edit of comments."""
    edited("states/strain.py", lambda text: '"""Strain, explained."""\n\n# a limit\nLIMIT = 1\n')
    edited("stage.py", lambda text: text + "\nUNUSED = 1\n")
    later = time.time() + 10
    for path in project.rglob("*"):
        if path.suffix in (".py", ".smk", ".yaml") or path.name == "Snakefile":
            os.utime(path, (later, later))
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text


def test_a_real_edit_reruns_exactly_what_it_concerns(snakemake, work, edited):
    """Would catch a change of code that goes unseen, or that reruns stages before it."""
    edited("states/strain.py", lambda text: text.replace("1", "2"))
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0
    assert set(jobs(text)) - {"all", "total"} == {"statistics", "dynamics", "summary", "report"}
    assert jobs(text)["statistics"] == 6
    assert "perrin.states.strain" in text, "the dry run does not name the module"


def test_an_edited_template_reruns_the_report_alone(snakemake, work, project):
    """Would catch an edit of the page's templates, captions, style or 3D view that goes unseen."""
    caption = project / "workflow" / "report" / "captions.yaml"
    kept = caption.read_text()
    try:
        caption.write_text(kept + "more: words\n")
        code, text = snakemake(work, "-n", *SHEET)
    finally:
        caption.write_text(kept)
    assert code == 0 and set(jobs(text)) - {"all", "total"} == {"report"}
    assert "workflow/report/captions.yaml" in text, "the dry run does not name the file"


def test_a_setting_reruns_its_stage_and_what_follows(snakemake, work):
    """Would catch a setting that reaches a stage behind Snakemake's back."""
    code, text = snakemake(work, "-n", "--config", "trajectories=sheet.tsv", "classes2d={block_frames: 30}")
    assert code == 0
    assert "classes2d" in jobs(text) and "average3d" in jobs(text)
    assert not {"track", "subtract_graphene", "denoise"} & set(jobs(text))


def test_a_constant_of_an_element_reruns_its_trajectory_alone(snakemake, work, project):
    """Would catch an edited lattice constant that goes unseen; no other element's trajectory may rerun."""
    table = project / "config" / "elements.yaml"
    stage = project / "workflow" / "perrin" / "rounds" / "average3d.py"
    kept, code_kept = table.read_text(), stage.read_text()
    try:
        stage.write_text("from perrin.files import elements\n" + code_kept)
        assert snakemake(work, *SHEET)[0] == 0
        table.write_text(kept.replace("3.9242", "3.9300"))
        code, text = snakemake(work, "-n", *SHEET)
    finally:
        table.write_text(kept)
        stage.write_text(code_kept)
    assert code == 0 and jobs(text)["average3d"] == 1


def test_a_moved_boundary_reruns_the_windows_beside_it(snakemake, work):
    """Would catch windows named by their number, after which one boundary reruns every later window."""
    override = work / "config" / "segments" / "one.tsv"
    override.parent.mkdir(parents=True)
    override.write_text("first_frame\tlast_frame\n0\t89\n90\t199\n200\t299\n")
    code, text = snakemake(work, *SHEET)
    assert code == 0, text
    count = ran(text)
    assert (count["segment"], count["window3d"], count["model"], count["statistics"]) == (1, 2, 2, 2)
    assert (count["dynamics"], count["summary"], count["report"]) == (1, 1, 1)
    assert "track" not in count and "average3d" not in count
    kept = {path.name for path in (work / "results/one/windows").iterdir()}
    assert kept == {"f000000-000099", "f000100-000199", "f000200-000299", "f000000-000089"} | {
        "f000090-000199"
    }
    code, text = snakemake(work, "prune", *SHEET)
    assert code == 0, text
    left = {path.name for path in (work / "results/one/windows").iterdir()}
    assert left == {"f000000-000089", "f000090-000199", "f000200-000299"}
    assert len(list((work / "results/two/windows").iterdir())) == 3


def test_cleaned_boxes_rerun_nothing_until_something_needs_them(snakemake, work):
    """Would catch room that is made at the price of a whole new run, or boxes that a change then misses."""
    boxes = [work / f"results/{name}/{file}" for name in ("one", "two")
             for file in ("track/particle.mrcs", "graphene/clean.mrcs", "denoise/denoised.mrcs")]  # fmt: skip
    (work / "results/two/dynamics/category.json").rename(work / "kept")
    assert snakemake(work, "clean_intermediates", *SHEET)[0] == 0
    assert [path.exists() for path in boxes] == [False] * 3 + [True] * 3
    (work / "kept").rename(work / "results/two/dynamics/category.json")
    assert snakemake(work, "clean_intermediates", *SHEET)[0] == 0
    assert not any(path.exists() for path in boxes)
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text
    code, text = snakemake(work, "--config", "trajectories=sheet.tsv", "denoise={n_components: 7}")
    assert code == 0 and ran(text)["track"] == 2 and all(path.exists() for path in boxes), text


def test_a_movie_counts_by_its_content(snakemake, work):
    """Would catch hours of work for a movie that was copied, and old results for one that was replaced."""
    later = time.time() + 100
    for movie in work.glob("*.mrc"):
        os.utime(movie, (later, later))
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text
    before = (work / "one.mrc").stat()
    (work / "one.mrc").write_text("other")
    os.utime(work / "one.mrc", (before.st_atime, before.st_mtime))
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and jobs(text)["track"] == 1 and "content of the movie" in text


def test_frames_chosen_by_a_person_rerun_their_trajectory(snakemake, work):
    """Would catch an override file whose appearance or edit goes unseen."""
    override = work / "config" / "frames" / "two.csv"
    override.parent.mkdir(parents=True)
    override.write_text("frame,accepted\n0,0\n")
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and jobs(text)["classes2d"] == 1
    assert snakemake(work, *SHEET)[0] == 0
    code, text = snakemake(work, "-n", *SHEET)
    assert "Nothing to be done" in text
    override.write_text("frame,accepted\n0,0\n1,0\n")
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and jobs(text)["classes2d"] == 1


@pytest.mark.parametrize("name", ["broken", "missing"])
def test_a_broken_trajectory_stops_alone(snakemake, tmp_path, name):
    """Would catch one impossible movie that costs the others their results, and an exit code of success."""
    folder = new_folder(
        tmp_path / "run", f"bad\t{name}.mrc\t400\tPt\tbright", "good\tgood.mrc\t400\tPt\tbright"
    )
    code, text = snakemake(folder, *SHEET)
    assert code == 1
    assert (folder / "results/good/dynamics/category.json").exists()
    assert "error: track bad: " in text
    assert {"broken": "broken beyond repair", "missing": "no such movie"}[name] in text
    assert not list((folder / "results/bad/track").glob("*"))
    assert "Traceback (most recent call last)" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--config", "trajectories=sheet.tsv", "trak={first_frames: 50}"],
            "unknown key trak; did you mean track?",
        ),
        (["--config", "trajectories=nowhere.tsv"], "nowhere.tsv: no such sample sheet"),
        (["--config", "trajectories=sheet.tsv", "denoise={n_components: 0}"], "denoise.n_components is 0"),
    ],
)
def test_wrong_settings_end_the_run_before_any_job(snakemake, finished, arguments, words):
    """Would catch a slip that is found hours later, or shown as a traceback."""
    code, text = snakemake(finished[0], *arguments)
    assert code == 1
    assert words in text
    assert "Traceback" not in text and "rule " not in text and "File " not in text


def test_the_demo_is_made_in_the_working_folder(snakemake, tmp_path):
    """Would catch a demo that writes into perrin's own folder when it is run from elsewhere."""
    code, text = snakemake(tmp_path, "-n")
    assert code == 0, text
    assert jobs(text)["demo"] == 1 and jobs(text)["track"] == 1
    assert "results/demo/movie/movie.mrc" in text
    assert str(Path("home") / "results") not in text
