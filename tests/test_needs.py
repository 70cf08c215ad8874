"""What jobs ask for: arithmetic of the prediction, the sources of frames and box, the rules that ask."""

import re
from pathlib import Path

import numpy as np
import pytest

from perrin import needs
from perrin.files.stacks import write_stack

ROOT = Path(__file__).resolve().parents[1]


def test_a_window_of_known_size_asks_for_known_memory_and_time():
    """Would catch a stack in bytes of another type, a margin applied twice, or attempts that ask for the same."""
    assert needs.stack_mb(1000, 100) == pytest.approx(40)
    need = needs.Need(100, 2, 10, 0.5)
    needs.NEEDS["trial"] = need
    try:
        alone = needs.LAUNCH_MB
        assert needs.memory_mb("trial", 40) == alone + 270  # (100 + 2 x 40) x 1.5
        assert needs.memory_mb("trial", 40, attempt=3) == alone + 540
        assert needs.memory_mb("trial", 40, particles=3) == alone + 270 + 2 * needs.FURTHER_MB * 1.5
        assert needs.runtime_min("trial", 40) == 5  # 2 min and 5 x 30 s, whole
        assert needs.runtime_min("trial", 40, attempt=2) == 9
    finally:
        del needs.NEEDS["trial"]


def test_more_frames_and_larger_boxes_never_ask_for_less():
    """Would catch a sign, and a stage that asks for nothing."""
    for stage in needs.NEEDS:
        asked = [needs.memory_mb(stage, size) for size in (1, 50, 500, 5000)]
        assert asked == sorted(asked) and asked[0] >= 200, stage
        time = [needs.runtime_min(stage, size) for size in (1, 50, 500, 5000)]
        assert time == sorted(time) and time[0] >= 2, stage


def test_frames_and_box_come_from_the_best_source(tmp_path):
    """Would catch the whole movie counted for a part of it, and an error where nothing is known yet."""
    movie, stack = tmp_path / "movie.npy", tmp_path / "particle.mrcs"
    needs.frames_of_movie.cache_clear()
    assert needs.frames_and_box(stack, movie) == (needs.FRAMES, needs.BOX_PX)
    needs.frames_of_movie.cache_clear()
    np.save(movie, np.zeros((37, 8, 8), np.float32))
    assert needs.frames_and_box(stack, movie) == (37, needs.BOX_PX)
    assert needs.frames_and_box(stack, movie, first_frame=5, box_px=64) == (32, 64)
    assert needs.frames_and_box(stack, "absent", 5, 9, 64) == (5, 64)
    stack.write_text("no stack")
    assert needs.frames_and_box(stack, movie) == (37, needs.BOX_PX)
    write_stack(stack, np.zeros((30, 16, 16), np.float32), 0.358)
    assert needs.frames_and_box(stack, movie, first_frame=5, box_px=64) == (30, 16)


def test_every_rule_of_a_trajectory_asks_by_prediction():
    """Would catch a rule with numbers of its own, and one that asks for what another needs."""
    asked = set()
    for path in (ROOT / "rules").glob("*.smk"):
        text = path.read_text()
        for rule, body in re.findall(r"^(?:rule|checkpoint) (\w+):\n(.*?)(?=\n\n\n|\Z)", text, re.M | re.S):
            for kind, stage in re.findall(r'=(memory|runtime)\("(\w+)"\)', body):
                assert stage == rule, (rule, kind)
                asked.add(stage)
    assert asked == set(needs.NEEDS)


def test_groups_of_the_cluster_are_rules_that_follow_one_another():
    """Would catch a rule renamed in the rules alone: Snakemake takes an unknown name in silence."""
    import yaml

    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    names = {line.split("=")[0] for line in profile["groups"] + profile["set-threads"]}
    assert names <= set(needs.NEEDS)
