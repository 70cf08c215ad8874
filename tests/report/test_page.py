"""The page: it is built, stands alone, shows no structure that failed, and lives with what is not there."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_run
from small_run import (
    FAILED,
    PROJECT,
    WINDOWS,
    crystal,
    name_of,
    write_after_windows,
    write_before_windows,
    write_report,
    write_truth,
    write_window,
)

from perrin.report import figures, plots, words
from perrin.workers import allowed


def article(page, number, trajectory="one"):
    """The part of the page about one window."""
    return re.search(rf'<article [^>]*id="w-{trajectory}-{number}">(.*?)</article>', page, re.S)[1]


def test_nothing_comes_from_a_network(page):
    """Would catch a font, script, picture or style that is fetched: the page must open without a network."""
    bare = re.sub(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]*", "", page)
    assert not re.findall(r"(?:https?:)?//[\w-]+\.[\w.-]+", bare)
    for url in re.findall(r'(?:src|href)="([^"]*)"', bare):
        assert url == "" or url.startswith(("#", "../", "data:,", "trajectories/", "figures/")), url
    assert "default-src 'none'" in page
    assert "@import" not in page and "fetch(" not in page and "XMLHttpRequest" not in page


def test_links_lead_to_files(page, results):
    """Would catch download links that miss: they are relative to the page."""
    alone = (results / "report/trajectories/one.html").read_text(encoding="utf-8")
    for folder, text in (("report", page), ("report/trajectories", alone)):
        links = [html.unescape(url) for url in re.findall(r'href="([^#"]*)"', text) if url != "data:,"]
        assert len(links) > 60
        for url in links:
            assert (results / folder / url).is_file(), url


def test_verdicts_come_first(page):
    """Would catch a page that begins with pictures: what was found and whether to believe it stand at the top."""
    top = page[page.index('id="found"') : page.index("<details")]
    assert "177 → 168 → 157 Pt atoms in 3 states (1 window failed)" in top
    assert "1 window failed: no structure &lt;b&gt;passed&lt;/b&gt; &amp; held. Read all reasons below" in top
    assert "no frame shows a particle" in top
    assert "<canvas" not in top and "<img" not in top


def test_a_failed_window_is_not_drawn(page):
    """Would catch atoms, map or model files of a window that failed, or a failure without its reason."""
    failed, good = article(page, FAILED + 1), article(page, 1)
    for mark in ("<canvas", 'class="slices"', "atoms.cif", "strain.pdb", "application/json"):
        assert mark in good and mark not in failed, mark
    assert "no structure &lt;b&gt;passed&lt;/b&gt; &amp; held" in failed
    assert "No structure is shown" in failed


def test_atoms_of_the_view_are_those_of_the_file(page, results):
    """Would catch positions, errors or coordination that belong to other atoms than the picked ones."""
    from perrin.files.tables import read_table

    here = results / "one/windows" / name_of(WINDOWS[1])
    scene = json.loads(re.search(r'json">(.*?)</script>', article(page, 2), re.S)[1])
    atoms, stats = read_table(here / "atoms.csv"), read_table(here / "atoms_stats.csv")
    xyz = [[scene["xyz"][3 * k + i] / 100 + scene["origin"][i] for i in range(3)] for k in range(len(atoms))]
    assert abs(atoms[["x_A", "y_A", "z_A"]].to_numpy() - xyz).max() < 0.0051
    assert scene["sd"] == [80] * 3 * len(atoms)
    assert scene["cn"] == stats["cn"].tolist()
    assert len(scene["gone"]) == 3 * 9, "nine atoms left between the first two states"
    assert set(scene["life"]) == {0, 1} and sum(scene["core"]) == 157


def test_truth_is_set_beside_what_was_found(page):
    """Would catch a comparison that misses the other hand, other axes, or boundaries: all is planted."""
    part = page[page.index("Found against truth") : page.index("<h3>Over time")]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(<td.*?)</tr>", part, re.S)]
    assert [row[3:7] for row in rows if len(row) == 9] == [
        ["177", "177", "100 %", "100 %"], ["168", "168", "100 %", "100 %"], ["157", "157", "100 %", "100 %"],
    ]  # fmt: skip
    assert [row[8] for row in rows if len(row) == 9] == ["either", "mirrored", "mirrored"]
    assert all(0.1 < float(row[7]) < 0.16 for row in rows if len(row) == 9), "0.08 A an axis was planted"
    assert "changed at frame 300; the boundary was found at frame 300" in part
    assert "The boundary at frame 600 has no true change" in part


def test_the_line_of_resolution_is_not_at_a_dip():
    """Would catch a mark where a crystal's curve dips between its reflections, far from the resolution in numbers."""
    curve = {
        "frequency_per_A": [0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2],
        "fsc": [0.3, 0.05, 0.9, 0.1, 0.8, 0.5, 0.0],
    }
    curve["fsc_random"] = [0.2, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0]
    table = pd.DataFrame(curve)
    for known, period in ((None, 1.0), (0.87, 0.87)):
        picture, said = figures.fsc(table, 0.358, known)
        place = re.search(r'class="level" d="M([\d.]+) 10V', picture.svg)[1]
        on = plots.Axes(340, 210, (0.0, 1.2), (-0.5, 1.05))
        assert said == period and float(place) == pytest.approx(float(on.px(1 / period)), abs=0.06)
        assert f"agree up to {period:.2f}" in picture.svg
    lowest = max(float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", picture.svg.split('class="line s4')[1]))
    assert lowest <= 210 - plots.BOTTOM + 0.1, "the curve leaves the axes"


def test_repaired_pixels_are_told(page):
    """Would catch rows taken for columns, and a count that the page leaves out."""
    assert "2 hot or dead pixels were repaired, at (x, y) (31, 7), (4, 90) of the field." in page
    many = words.faulty_pixels(np.arange(20).reshape(10, 2))
    assert many.startswith("10 hot") and many.count("(") == 7 and "…" in many
    assert words.faulty_pixels(np.zeros((0, 2))) == "No pixel of the camera was hot or dead."


def test_every_picture_has_words(page):
    """Would catch a picture or plot that says nothing to those who do not see it."""
    assert not re.findall(r"<img(?![^>]*\balt=\"[^\"]+\")[^>]*>", page)
    assert not re.findall(r"<svg(?![^>]*aria-label=\"[^\"]+\")[^>]*>", page)
    assert page.count("<figcaption>") > 8


def test_the_same_results_give_the_same_page(page, results):
    """Would catch a date, a random id or an unsorted set in the page."""
    assert write_report(results, ["one", "two"], {"one": str(results / "demo/truth")}) == page


def test_processes_change_nothing(page, results):
    """Would catch a page or figure that depends on how many processes draw."""

    def files():
        return {path: path.read_bytes() for path in (results / "report").rglob("*") if path.is_file()}

    truth = {"one": str(results / "demo/truth")}
    assert write_report(results, ["one", "two"], truth) == page
    alone = files()
    with allowed(2):
        assert write_report(results, ["one", "two"], truth) == page
    assert files() == alone


def test_absent_files_leave_their_part_out(results, tmp_path):
    """Would catch a report that dies of one missing file: folders and files are taken away in turn, then all."""
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    parts = ["classes2d", "average3d", "segment", "events", "windows", "dynamics"]
    parts += [f"dynamics/{name}.csv" for name in ("states", "lives")]
    parts += [f"windows/{name_of(WINDOWS[0])}/{name}" for name in ("atoms.csv", "atoms_stats.csv")]
    for part in parts:
        (copy / "one" / part).rename(tmp_path / "away")
        assert "Atoms over time" in write_report(copy, ["one"], picture_px=100), part
        (tmp_path / "away").rename(copy / "one" / part)
    shutil.rmtree(copy / "one")
    shutil.rmtree(copy / "summary")
    assert "No structure of the Pt particle." in write_report(copy, ["one"])


def test_more_atoms_than_the_page_can_bear(results):
    """Would catch a page of hundreds of MB: large windows are left to viewers, and it is said."""
    text = write_report(results, ["one"], most_atoms=160, most_rows=3)
    assert "Too many atoms" in article(text, 1) and "<canvas" in article(text, 4)
    assert "17 more rows in" in text


def test_an_index_of_many_is_light(results, page, tmp_path):
    """Would catch an index that grows by a whole page a trajectory, or one that loses a verdict or a reason."""
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    names = ["one", "two", *(f"more{k}" for k in range(12))]
    for name in names[2:]:
        (copy / name).symlink_to(copy / "one")
    text = write_report(copy, names, picture_px=100, most_rows=3)
    assert len(text) < 0.4 * len(page), "two whole trajectories"
    assert "<canvas" not in text and text.count('<tr data-verdict="doubtful"') == 13
    assert "no frame shows a particle" in text
    for name in names:
        assert f'href="trajectories/{name}.html"' in text
        alone = (copy / f"report/trajectories/{name}.html").read_text(encoding="utf-8")
        assert ("<canvas" in alone) == (name != "two") and 'href="../index.html"' in alone
    assert 'rel="prev" href="../trajectories/one.html"' in (copy / "report/trajectories/two.html").read_text()


def test_a_trajectory_that_cannot_be_read_is_listed(results, tmp_path):
    """Would catch one broken file of one trajectory that costs the report of all others."""
    copy = tmp_path / "results"
    shutil.copytree(results, copy)
    shutil.copytree(copy / "one", copy / "broken")
    (copy / "broken/dynamics/states.csv").write_text("not,a\ntable")
    text = write_report(copy, ["broken", "one"])
    card = text[text.index('<article class="card failed">') :]
    assert "its results cannot be read" in card[: card.index("</article>")]
    assert article(text, 1, "one") and "<canvas" in article(text, 1, "one")


def test_figures_are_files_with_their_numbers(page, results):
    """Would catch a figure that needs the page's style, is no XML, or has other numbers than the tables it shows."""
    from xml.etree import ElementTree

    from perrin.files.tables import read_table

    folder = results / "report/figures/one"
    drawn = sorted(path.stem for path in folder.glob("*.svg"))
    assert {"series_n_atoms", "directions", "correlation", "atoms_over_time", "window1_fsc", "window2_atoms",
            "strain_by_depth"} <= set(drawn)  # fmt: skip
    assert not any(name.startswith(f"window{FAILED + 1}_atoms") for name in drawn)
    for name in drawn:
        text = (folder / f"{name}.svg").read_text(encoding="utf-8")
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "--c1: #0072b2" in text and ".line {" in text and "prefers-color-scheme" not in text
    states = read_table(results / "one/dynamics/states.csv")
    series = read_table(folder / "series_crystallinity.csv")
    assert series["value"].fillna(-1).tolist() == states["crystallinity"].fillna(-1).tolist()
    fsc = read_table(results / "one/windows" / name_of(WINDOWS[0]) / "fsc.csv")
    assert (
        abs(read_table(folder / "window1_fsc.csv")["fsc"].to_numpy() - fsc["fsc"][:47].to_numpy()).max()
        < 1e-6
    )
    over = read_table(folder / "atoms_over_time.csv")
    assert over["n_atoms"].iloc[0] == 177 and over["n_atoms"].iloc[-1] == 158, "20 left and one arrived"


def test_lives_of_the_view_are_those_of_the_file(page, results):
    """Would catch an atom that goes at another frame than its evidence says: site 5 empties at frame 340."""
    scene = json.loads(re.search(r'viewer alone timed.*?json">(.*?)</script>', page, re.S)[1])
    assert scene["turns"][4] == [0, 340] and scene["turns"][50] == [0] and scene["turns"][177] == [600]
    assert (scene["first"], scene["last"], len(scene["xyz"])) == (0, 1199, 3 * 178)


def test_captions_are_all_used():
    """Would catch a caption without a picture, or a template that asks for one that is not there."""
    folder = PROJECT / "workflow/report"
    names = re.findall(r"^(\w+):", (folder / "captions.yaml").read_text(encoding="utf-8"), re.M)
    text = "".join(p.read_text(encoding="utf-8") for p in Path(folder / "templates").iterdir())
    assert set(names) == set(re.findall(r"captions\.(\w+)", text))


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((181, 179.2, 182.7), ("181", "179.2 to 182.7")),
        ((0.4923, 0.4831, 0.4968), ("0.492", "0.483 to 0.497")),
        ((-7.33, -12.4, -3.4), ("−7.3", "−12.4 to −3.4")),
        ((float("nan"), 1, 2), ("–", "")),
        ((3.5, float("nan"), 2), ("3.50", "")),
        ((2.0, 2.0, 2.0), ("2", "2 to 2")),
        ((0.4758065, 0.4758064, 0.4758065), ("0.476", "0.476 to 0.476")),
    ],
)
def test_numbers_in_words(numbers, said):
    """Would catch an interval with more or fewer digits than it deserves, and "nan" on the page."""
    assert words.interval(*numbers) == said


def test_overall_verdict():
    """Would catch a trajectory called good although a window or a stage is not."""
    good = [{"name": "frames", "verdict": "good", "why": ""}]
    assert words.trajectory_verdict(good, ["good", "good"])[0] == "good"
    assert words.trajectory_verdict(good, ["good", "failed"]) == (
        "doubtful", "1 window failed: read the reasons below before using the numbers",
    )  # fmt: skip
    assert words.trajectory_verdict(good, ["failed"])[0] == "failed"
    assert (
        words.trajectory_verdict([{"name": "views", "verdict": "doubtful", "why": ""}], ["good"])[0]
        == "doubtful"
    )


@pytest.mark.parametrize("lost", [(None, None), (0,), (0, None), (None, 9)])
def test_trajectories_without_much(tmp_path, monkeypatch, lost):
    """Would catch a page that dies where every window failed, where there is one state only, or no change."""
    folder, rng, points = tmp_path / "results/few", np.random.default_rng(5), crystal()
    monkeypatch.setattr(small_run, "WINDOWS", WINDOWS[: len(lost)])
    write_before_windows(folder, rng)
    for window, gone in zip(WINDOWS, lost):
        xyz = np.zeros((0, 3)) if gone is None else points[gone:]
        write_window(folder, window, xyz, rng, "failed" if gone is None else "doubtful")
    write_after_windows(folder)
    write_truth(tmp_path / "truth", points)
    page = write_report(tmp_path / "results", ["few"], {"few": str(tmp_path / "truth")}, picture_px=100)
    good = len(lost) - lost.count(None)
    assert page.count('<div class="viewer" ') == good
    assert ("viewer alone timed" in page) == (good > 0)
    assert ("No structure of the Pt particle" in page) == (good == 0)
    assert "nan" not in re.sub(r'base64,[^"]*"', "", page).lower().replace("nanocrystal", "")
