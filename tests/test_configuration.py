"""What is generated from the schemas, and what must keep step with the lock."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]


def test_config_preset_and_page_are_those_of_the_schema():
    """Would catch a key, default or limit that was changed in the schema and not in what people read."""
    result = subprocess.run(
        [sys.executable, "docs/generate_configuration.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def locked(name):
    """{package: [(version, marker)]} of a lock file."""
    found = {}
    for line in (ROOT / "envs" / name).read_text().splitlines():
        if match := re.match(r"^([A-Za-z0-9_.-]+)==(\S+)(?: ; (.*?))? \\$", line):
            found.setdefault(match[1].lower(), []).append((match[2], match[3] or ""))
    return found


def test_locks_pin_and_hash_everything_and_name_no_address():
    """Would catch a line that pip --require-hashes refuses, and an address of somebody's registry."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / "envs" / name).read_text()
        assert "://" not in text and "index" not in text.split("--hash")[0]
        for entry in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
            assert re.match(r"^[A-Za-z0-9_.-]+==\S+", entry), entry[:80]
            assert "--hash=sha256:" in entry, entry[:80]


def test_the_lock_of_the_tests_holds_the_lock_of_the_program():
    """Would catch tests that prove other versions than those that users install."""
    program, tests = locked("requirements.txt"), locked("requirements-dev.txt")
    for name, entries in program.items():
        assert {version for version, _ in tests[name]} == {version for version, _ in entries}, name


def test_conda_and_lock_agree():
    """Would catch a conda environment that computes with other versions than the lock."""
    entries = yaml.safe_load((ROOT / "envs" / "perrin.yaml").read_text())["dependencies"]
    pinned = [entry.split("=", 1) for entry in entries if isinstance(entry, str) and "=" in entry]
    pinned += [entry.split("==") for entry in entries[-1]["pip"]]
    lock = locked("requirements.txt")
    for name, version in pinned:
        if name != "python":
            assert version in [found for found, marker in lock[name] if "<" not in marker], name
    wanted = {
        re.split(r"[=<>]", line)[0].strip()
        for line in (ROOT / "envs" / "requirements.in").read_text().splitlines()
        if line.strip() and not line.startswith(("#", "snakemake"))
    }
    assert wanted == {name for name, _ in pinned} - {"python"}
