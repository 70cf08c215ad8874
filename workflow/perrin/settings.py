"""Config and sample sheet: read, checked against their schemas, complete; what is wrong in one sentence."""

import csv
import difflib
import hashlib
import re
import zlib
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from perrin.files.elements import element
from perrin.files.errors import InputError

RESERVED = ("summary", "report", "timings", "logs")
TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "a section (key: value lines)",
    "array": "a list",
}


def read_schema(path):
    """The schema, a dict, of a YAML file."""
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def complete(config, schema, where="config"):
    """The config with every default of the schema filled in; InputError with one sentence where it is wrong.

    config, schema : dicts (JSON Schema draft 2020-12; `default` at every leaf)
    """
    config = _converted(_plain(config), schema)
    refuse(config, schema, where)
    return _filled(config, schema)


def refuse(value, schema, where):
    """Raise InputError for the first fault of a value against its schema; `where` begins the sentence."""
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=lambda e: (len(e.path), str(e.path)))
    if errors:
        raise InputError(f"{where}: {sentence(errors[0])}")


def sentence(error):
    """What a jsonschema error means to the person who wrote the file: key, value, limit, nearest valid name."""
    key = ".".join(map(str, error.absolute_path))
    shown, schema, limit = _shown(error.instance), error.schema, error.validator_value
    if error.validator == "additionalProperties":
        known = sorted(schema["properties"])
        name = sorted(set(error.instance) - set(known), key=str)[0]
        return f"unknown key {_joined(key, name)}{_hint(str(name), known)}"
    if error.validator == "required":
        name = next(name for name in limit if name not in error.instance)
        return f"key {_joined(key, name)} is missing; {_meaning(schema['properties'].get(name, {}))}"
    if error.validator == "type":
        kinds = [limit] if isinstance(limit, str) else limit
        wanted = " or ".join(TYPES.get(kind, kind) for kind in kinds)
        return f"{key} is {shown}; it must be {wanted}{_limits(schema)}"
    if error.validator in ("enum", "const"):
        allowed = limit if error.validator == "enum" else [limit]
        return f"{key} is {shown}{_hint(str(error.instance), [str(item) for item in allowed])}"
    if error.validator in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        return f"{key} is {shown}; it must be a number{_limits(schema)}"
    if error.validator == "pattern":
        return f"{key} is {shown}; {_meaning(schema)}"
    return f"{key} is {shown}: {error.message}" if key else error.message


def read_sheet(path, schema):
    """The rows of a sample sheet, checked, as dicts {column: value}, missing values None.

    path : tab-separated, a header line, lines that begin with # are comments; schema : of one row.
    `movie` and `start_model` come back joined to the sheet's folder.
    Raises InputError with file, line, column, value and what is allowed.
    """
    path = Path(path)
    rows = _cells(path)
    header, known, names = rows[0][1], list(schema["properties"]), {}
    for name in header:
        if name not in known:
            raise InputError(f"{path}: unknown column {name!r}{_hint(name, known)}")
        if header.count(name) > 1:
            raise InputError(f"{path}: column {name} appears twice; keep one")
    for name in schema["required"]:
        if name not in header:
            raise InputError(f"{path}: column {name} is missing; {_meaning(schema['properties'][name])}")
    result = []
    for line, cells in rows[1:]:
        where = f"{path}, line {line}"
        if len(cells) != len(header):
            raise InputError(
                f"{where}: {len(cells)} cells for {len(header)} columns; separate cells by one tab"
            )
        row = {
            name: _value(cell, schema["properties"][name]) for name, cell in zip(header, cells) if cell != ""
        }
        refuse(row, schema, where)
        if row["name"] in names:
            raise InputError(
                f"{where}: name {row['name']} was used on line {names[row['name']]}; names must differ"
            )
        if row["name"].lower() in RESERVED:
            raise InputError(
                f"{where}: {row['name']} is the name of a folder of results; choose another name"
            )
        names[row["name"]] = line
        result.append(_checked({**dict.fromkeys(known), **row}, where, path.parent))
    if not result:
        raise InputError(f"{path}: no trajectories; add a line for each, one particle a line")
    return result


def seed_of(seed, stage, trajectory):
    """A seed of its own for each stage and trajectory: same config, same numbers, whatever else runs."""
    return zlib.crc32(f"{seed} {stage} {trajectory}".encode()) & 0x7FFFFFFF


def digest(value):
    """Eight hex digits of a value's text, to see that it changed."""
    return hashlib.sha256(repr(value).encode()).hexdigest()[:8]


def _checked(row, where, folder):
    """What a schema cannot say of a row: the element is known, ends come after beginnings, both coordinates."""
    try:
        row["element"] = element(row["element"]).symbol
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    if (row["x_px"] is None) != (row["y_px"] is None):
        raise InputError(f"{where}: x_px and y_px go together; give both or neither")
    first, last = row["first_frame"], row["last_frame"]
    if last is not None and last <= (first or 0):
        raise InputError(f"{where}: last_frame is {last}, first_frame {first or 0}; it must come later")
    for name in ("movie", "start_model"):
        if row.get(name) is not None:
            row[name] = (folder / row[name]).as_posix()
    return row


def _cells(path):
    """[(line number, stripped cells)] of a tab-separated file without comments and blank lines."""
    if not path.is_file():
        raise InputError(
            f"{path}: no such sample sheet; set the config key trajectories to a file, or write this one"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: not a text file in UTF-8; save the sample sheet as tab-separated text"
        ) from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise InputError(f"{path}: empty; the first line must hold the column names, separated by tabs")
    if "\t" not in lines[0][1]:
        mark = next((mark for mark in ",;" if mark in lines[0][1]), None)
        used = f" (it is separated by {mark!r})" if mark else ""
        raise InputError(f"{path}: no tab in the header line{used}; separate columns by tabs")
    parsed = csv.reader([line for _, line in lines], delimiter="\t", quoting=csv.QUOTE_NONE)
    return [(number, [cell.strip() for cell in cells]) for (number, _), cells in zip(lines, parsed)]


def _value(cell, schema):
    """A cell as the type that its column's schema asks for; text that is none stays text, for the check to name."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "integer" in kinds and re.fullmatch(r"[+-]?\d+(\.0+)?", cell):
        return int(float(cell))
    if "number" in kinds:
        try:
            return float(cell)
        except ValueError:
            return cell
    return cell


def _converted(value, schema):
    """Text that came from the command line, where all is text, as what the schema asks for, where it can be."""
    if isinstance(value, dict):
        below = schema.get("properties", {})
        return {key: _converted(item, below.get(key, {})) for key, item in value.items()}
    kinds = schema.get("type", "string")
    if not isinstance(value, str) or "string" in kinds or "enum" in schema:
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _filled(value, schema):
    """Recursively, the value with the schema's defaults where it is silent."""
    if schema.get("type") != "object" or "properties" not in schema:
        return value
    value = dict(value)
    for key, below in schema["properties"].items():
        if key in value:
            value[key] = _filled(value[key], below)
        elif "default" in below:
            value[key] = _filled(_plain(below["default"]), below)
    return value


def _plain(value):
    """Copy of a config in plain dicts and lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _limits(schema):
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    parts = [
        f"from {low:.10g}" if low is not None else "",
        f"above {above:.10g}" if above is not None else "",
    ]
    parts += [
        f"{'to' if above is None else 'and at most'} {high:.10g}" if high is not None else "",
        f"below {below:.10g}" if below is not None else "",
    ]
    if "enum" in schema:
        parts.append("among " + ", ".join(map(str, schema["enum"])))
    text = " ".join(part for part in parts if part)
    return f" {text}" if text else ""


def _hint(name, known):
    close = difflib.get_close_matches(name, known, 1, 0.5)
    if close:
        return f"; did you mean {close[0]}? (valid: {', '.join(known)})"
    return f"; valid are {', '.join(known)}"


def _meaning(schema):
    return f"it holds: {schema.get('description', 'see docs/configuration.md')}"


def _joined(key, name):
    return f"{key}.{name}" if key else str(name)


def _shown(value):
    text = repr(value) if isinstance(value, str) else "null" if value is None else str(value).lower()
    return text if len(text) < 60 else text[:57] + "..."
