"""Several particles of one movie: one job reads it, each trajectory goes on by itself."""

import shutil

import pytest
from runs import jobs, new_folder, ran

SHEET = ("--config", "trajectories=sheet.tsv")
ROWS = ("one\tsame.mrc\t400\tPt\tbright", "two\tsame.mrc\t400\tAu\tdark", "three\tother.mrc\t400\tPt\tbright")


@pytest.fixture(scope="module")
def shared(snakemake, tmp_path_factory):
    """A finished folder of two particles of one movie and one of another; what Snakemake said."""
    folder = new_folder(tmp_path_factory.mktemp("shared") / "run", *ROWS)
    code, text = snakemake(folder, *SHEET)
    assert code == 0, text
    return folder, text


@pytest.fixture
def work(shared, tmp_path):
    shutil.copytree(shared[0], tmp_path / "run", symlinks=True)
    return tmp_path / "run"


def test_one_job_reads_the_movie_for_all_its_particles(shared):
    """Would catch a movie that is read once for each particle."""
    folder, text = shared
    count = ran(text)
    assert (count["track_together"], count["track"], count["dynamics"]) == (1, 3, 3)
    assert (folder / "results/two/track/tracks.csv").exists()


def test_afterwards_there_is_nothing_more_to_do(snakemake, work):
    """Would catch a reading that is made again without need."""
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text


def test_a_further_particle_reads_the_movie_again_and_reruns_no_other(snakemake, work):
    """Would catch trajectories that are made anew, hours each, because another was added to their movie."""
    with open(work / "sheet.tsv", "a") as sheet:
        sheet.write("four\tsame.mrc\t400\tPt\tbright\n")
    code, text = snakemake(work, *SHEET)
    assert code == 0, text
    count = ran(text)
    assert (count["track_together"], count["track"], count["average3d"]) == (1, 1, 1)
    assert (work / "results/four/track/tracks.csv").exists()
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0 and "Nothing to be done" in text, text


def test_a_fact_of_one_particle_reruns_it_alone(snakemake, work):
    """Would catch a corrected cell that costs the other particles of the movie their results, or goes unseen."""
    sheet = work / "sheet.tsv"
    sheet.write_text(sheet.read_text().replace("Au\tdark", "Au\tbright"))
    code, text = snakemake(work, "-n", *SHEET)
    assert code == 0
    assert (jobs(text)["track_together"], jobs(text)["track"], jobs(text)["average3d"]) == (1, 1, 1)


def test_a_real_edit_of_the_tracker_tracks_all_anew(snakemake, work, project):
    """Would catch an edit that goes unseen where the movie is shared."""
    path = project / "workflow/perrin/frames/track.py"
    kept = path.read_text()
    try:
        path.write_text(kept + "\nLIMIT = 2\n")
        code, text = snakemake(work, "-n", *SHEET)
    finally:
        path.write_text(kept)
    assert code == 0
    assert (jobs(text)["track_together"], jobs(text)["track"]) == (1, 3)
