"""Write config/config.yaml, config/presets/paper.yaml and docs/configuration.md from the schemas.

python docs/generate_configuration.py            writes them
python docs/generate_configuration.py --check    says what differs, exit code 1 where something does
"""

import difflib
import json
import sys
import textwrap
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "config" / "schemas"
WIDTH = 110


def value_text(value):
    """A value as YAML writes it on one line."""
    if isinstance(value, str):
        return yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("\n...").strip()
    return json.dumps(value)


def limits(schema):
    """Range or choices of a key in words."""
    if "enum" in schema:
        return "one of " + ", ".join(value_text(item) for item in schema["enum"])
    words = []
    for key, word in [("minimum", "from"), ("exclusiveMinimum", "above")]:
        if key in schema:
            words.append(f"{word} {schema[key]:.10g}")
    most = "and at most" if "exclusiveMinimum" in schema else "to"
    for key, word in [("maximum", most), ("exclusiveMaximum", "below")]:
        if key in schema:
            words.append(f"{word} {schema[key]:.10g}")
    if schema.get("type") == "boolean":
        words.append("true or false")
    if isinstance(schema.get("type"), list) and "null" in schema["type"]:
        words.append("or null")
    return " ".join(words)


def comment(text, indent):
    """A comment of as many lines as it takes."""
    return textwrap.fill(
        " ".join(text.split()),
        WIDTH,
        initial_indent=f"{indent}# ",
        subsequent_indent=f"{indent}# ",
        break_on_hyphens=False,
    )


def key_lines(name, schema, value, indent):
    """Comment (meaning, unit, default, limits) and the key with a value."""
    facts = [f"default {value_text(schema['default'])}", limits(schema)]
    if "x-paper" in schema:
        facts.append(f"published {value_text(schema['x-paper'])}")
    text = f"{' '.join(schema['description'].split())} ({'; '.join(fact for fact in facts if fact)})"
    return [comment(text, indent), f"{indent}{name}: {value_text(value)}"]


def section_lines(name, entry, indent):
    """A key with its comment, or a section with its keys, at their defaults."""
    if "properties" not in entry:
        return key_lines(name, entry, entry["default"], indent)
    lines = [comment(entry["description"], indent)] if entry.get("description") else []
    lines.append(f"{indent}{name}:" if entry["properties"] else f"{indent}{name}: {{}}")
    for key, below in entry["properties"].items():
        lines += section_lines(key, below, indent + "  ")
    return lines


def config_yaml(schema):
    """config.yaml: every key at its default, commented."""
    lines = [
        "# All settings of perrin, each at its default. Change a value and run snakemake again: only what",
        "# depends on it is made anew. On the command line: snakemake --config seed=2 'denoise={method: exact}'",
        "# Generated from schemas/config.schema.yaml, which checks this file before any job runs.",
    ]
    for name, entry in schema["properties"].items():
        lines += ["", *section_lines(name, entry, "")]
    return "\n".join(lines) + "\n"


def paper_yaml(schema):
    """presets/paper.yaml: the keys at which the published method differs."""
    lines = [
        "# The published method: every key at which it differs from perrin's default.",
        "# snakemake --cores all --configfile config/presets/paper.yaml",
        "# Generated from schemas/config.schema.yaml (x-paper).",
    ]
    for name, entry in schema["properties"].items():
        differing = {
            key: below
            for key, below in entry.get("properties", {}).items()
            if "x-paper" in below and below["x-paper"] != below["default"]
        }
        if differing:
            lines += ["", f"{name}:"]
            for key, below in differing.items():
                lines += key_lines(key, below, below["x-paper"], "  ")
    return "\n".join(lines) + "\n"


def cell(text):
    """Text for a cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")


def type_text(schema):
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " or ".join(kinds)


def leaves(properties, before=""):
    """Keys and schemas of a section, those of sections within it as section.key."""
    for key, entry in properties.items():
        if "properties" in entry:
            yield from leaves(entry["properties"], f"{before}{key}.")
        else:
            yield f"{before}{key}", entry


def table(properties):
    """Markdown table of keys."""
    lines = ["| key | type | default | limits | published | meaning |", "|---|---|---|---|---|---|"]
    for key, entry in leaves(properties):
        paper = f"`{value_text(entry['x-paper'])}`" if "x-paper" in entry else ""
        row = [f"`{key}`", type_text(entry), f"`{value_text(entry['default'])}`", limits(entry), paper]
        lines.append("| " + " | ".join(cell(text) for text in [*row, entry["description"]]) + " |")
    return lines


def configuration_md(schema, sheet):
    """docs/configuration.md: every key of the config, every column of the sample sheet."""
    lines = [
        "# Configuration",
        "",
        "Generated from `config/schemas/` by `python docs/generate_configuration.py`; a test fails when it drifts.",
        "",
        "Settings are read from `config/config.yaml` in the working directory, or else from perrin's own; keys on the",
        "command line (`--config seed=2`) and in a file given by `--configfile` go over it. Keys that are not given",
        "have the default. A key that does not exist, a value of the wrong type or out of its limits ends the run with",
        "one sentence before any job starts. `config/presets/paper.yaml` holds the published values:",
        "`snakemake --cores all --configfile config/presets/paper.yaml`.",
        "",
        "## The sample sheet",
        "",
        "Tab-separated text with a header line; lines that begin with `#` are comments; an empty cell means that the",
        "value is not given. One row a particle; several rows may share a movie. Movie paths are taken from the",
        "sheet's folder.",
        "",
        "| column | needed | type | limits | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, entry in sheet["properties"].items():
        needed = "yes" if name in sheet["required"] else "no"
        row = [f"`{name}`", needed, type_text(entry), limits(entry), entry["description"]]
        lines.append("| " + " | ".join(map(cell, row)) + " |")
    lines += [
        "",
        "Two files overrule what perrin decides, where they exist in the working directory:",
        "",
        "- `config/segments/NAME.tsv`: the windows of trajectory NAME, columns `first_frame` and",
        "  `last_frame` (included).",
        "- `config/frames/NAME.csv`: frames to use, columns `frame` and `accepted` (1 or 0).",
        "",
        "## General",
        "",
        *table({k: v for k, v in schema["properties"].items() if "properties" not in v}),
    ]
    for name, entry in schema["properties"].items():
        if entry.get("properties"):
            lines += ["", f"## {name}", "", " ".join(entry.get("description", "").split()), ""]
            lines += table(entry["properties"])
    return "\n".join(lines) + "\n"


def generated():
    """{path: text} of every generated file."""
    schema = yaml.safe_load((SCHEMAS / "config.schema.yaml").read_text(encoding="utf-8"))
    sheet = yaml.safe_load((SCHEMAS / "trajectories.schema.yaml").read_text(encoding="utf-8"))
    return {
        ROOT / "config" / "config.yaml": config_yaml(schema),
        ROOT / "config" / "presets" / "paper.yaml": paper_yaml(schema),
        ROOT / "docs" / "configuration.md": configuration_md(schema, sheet),
    }


def main():
    drifted = 0
    for path, text in generated().items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif old != text:
            drifted += 1
            name = path.relative_to(ROOT).as_posix()
            sys.stdout.writelines(
                difflib.unified_diff(
                    old.splitlines(True), text.splitlines(True), name, f"{name} from the schema"
                )
            )
    return 1 if drifted else 0


if __name__ == "__main__":
    sys.exit(main())
