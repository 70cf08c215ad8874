"""Rules against functions: every argument is given once, every script runs what its rule says."""

import inspect
import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from runs import HEADER, PROJECT

PROGRAM = """
import json, sys
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import ConfigSettings, OutputSettings, Quietness, ResourceSettings

with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
    workflow = api.workflow(
        resource_settings=ResourceSettings(cores=1),
        config_settings=ConfigSettings(config={"trajectories": "sheet.tsv"}),
        snakefile=Path(sys.argv[1]),
        workdir=Path(sys.argv[2]),
    )._workflow
    rules = {}
    for rule in workflow.rules:
        params = dict(rule.params.items())
        cfg = params.get("cfg")

        class Wildcards(dict):
            trajectory, window = "one", "f000000-000099"

        rules[rule.name] = {
            "input": [name for name, _ in rule.input.items()],
            "output": [name for name, _ in rule.output.items()],
            "params": sorted(params),
            "cfg": sorted(cfg(Wildcards()) if callable(cfg) else cfg or {}),
            "script": str(rule.script or ""),
            "log": bool(rule.log),
            "benchmark": bool(rule.benchmark),
            "conda": bool(rule.conda_env),
            "resources": sorted(rule.resources),
        }
    print("RULES" + json.dumps(rules))
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """What Snakemake knows of every rule."""
    folder = tmp_path_factory.mktemp("wiring")
    (folder / "sheet.tsv").write_text(HEADER + "one\tone.mrc\t400\tPt\tbright\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, PROJECT / "Snakefile", folder], capture_output=True, text=True
    )
    assert "RULES" in done.stdout, done.stdout + done.stderr
    return json.loads(done.stdout.split("RULES")[1])


def function_of(rule):
    text = (PROJECT / "workflow" / "scripts" / Path(rule["script"]).name).read_text()
    return re.search(r'stage\.run\(snakemake, "(.*)"\)', text)[1]


STAGES = ["demo", "track", "track_facts", "track_together", "subtract_graphene", "denoise", "classes2d"]
STAGES += ["average3d", "segment", "window3d", "model", "events", "statistics", "dynamics", "summary"]
STAGES += ["report"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_gives_its_function_what_it_takes(rules, stage):
    """Would catch an argument that is missing, unknown, or given both as a file and as a setting."""
    rule = rules[stage]
    module, _, name = function_of(rule).rpartition(".")
    given = [*rule["input"], *rule["output"], *rule["cfg"]]
    given.remove("provenance")
    assert len(given) == len(set(given)), "given twice"
    inspect.signature(getattr(import_module(module), name)).bind(**dict.fromkeys(given))


@pytest.mark.parametrize("stage", STAGES)
def test_a_rule_has_all_that_rules_have(rules, stage):
    """Would catch a rule without log, benchmark, environment, resources or one of its two params."""
    rule = rules[stage]
    assert rule["params"] == ["cfg", "code"]
    assert rule["log"] and rule["benchmark"] and rule["conda"]
    assert {"mem_mb", "runtime"} <= set(rule["resources"])
    assert Path(rule["script"]).name == f"{stage}.py"


def test_every_stage_of_the_design_is_there_and_nothing_else(rules):
    """Would catch a rule that no test looks at."""
    assert set(rules) == {*STAGES, "all", "prune", "clean_intermediates"}


def test_scripts_bind_and_do_nothing_else():
    """Would catch numerics or settings that creep into a script."""
    for script in (PROJECT / "workflow" / "scripts").glob("*.py"):
        text = script.read_text()
        assert len(text.splitlines()) <= 10, script.name
        assert "numpy" not in text and "config" not in text, script.name


def test_the_code_param_names_the_module_that_the_script_runs(rules):
    """Would catch a rule whose digests are those of another stage."""
    text = "\n".join(path.read_text() for path in (PROJECT / "rules").glob("*.smk"))
    for stage in STAGES:
        body = re.search(rf"(?:rule|checkpoint) {stage}:\n(.*?)(?=\n\n\n|\Z)", text, re.S)[1]
        module = re.search(r'code=code\("([\w.]+)"', body)[1]
        assert module == function_of(rules[stage]).rpartition(".")[0], stage
