"""What is known of each metal: config/elements.yaml, a source beside every value."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from perrin.files.errors import InputError
from perrin.files.shipped import shipped

TABLE = shipped("config") / "elements.yaml"
SYSTEMS = ("fcc", "bcc", "hcp")


@dataclass(frozen=True)
class Element:
    """A metal.

    symbol : chemical symbol
    system : "fcc", "bcc" or "hcp"
    lattice_A : edge a of the cubic cell, or a of the hexagonal one, at room temperature, angstrom
    c_over_a : of the hexagonal cell; None for cubic metals
    radius_A : theoretical radius: half the nearest-neighbour distance of the bulk, angstrom
    authors_lattice_A, authors_radius_A : the constants of the published program, None where it has none
    sources : {key: where the value comes from}
    """

    symbol: str
    system: str
    lattice_A: float
    c_over_a: float | None
    radius_A: float
    authors_lattice_A: float | None
    authors_radius_A: float | None
    sources: dict


def element(symbol, table=TABLE):
    """The Element of a symbol ("Pt", "pt"); InputError for one that the table has not got.

    >>> element("pt").system, element("Pt").lattice_A
    ('fcc', 3.9242)
    """
    known = _read(Path(table))
    name = str(symbol).strip().capitalize()
    if name not in known:
        raise InputError(
            f"element {symbol!r} is not among those known ({', '.join(sorted(known))}); add it "
            f"to {_shown(table)} with "
            "system (fcc, bcc or hcp), lattice_A, radius_A and a source for each"
        )
    return known[name]


def elements(table=TABLE):
    """All symbols that the table knows, sorted."""
    return sorted(_read(Path(table)))


@cache
def _read(table):
    content = yaml.safe_load(table.read_text(encoding="utf-8"))
    return {symbol: _element(symbol, entry, table) for symbol, entry in content.items()}


def _element(symbol, entry, table):
    """Check one entry of the table."""
    where = f"{_shown(table)}, {symbol}"
    entry = dict(entry)
    sources = entry.pop("source", {})
    unknown = set(entry) - set(Element.__dataclass_fields__)
    if unknown:
        raise InputError(f"{where}: unknown key {sorted(unknown)[0]}; keys are {', '.join(_KEYS)} and source")
    if entry.get("system") not in SYSTEMS:
        raise InputError(
            f"{where}: system is {entry.get('system')!r}; it must be one of {', '.join(SYSTEMS)}"
        )
    needed = ["lattice_A", "radius_A"] + ["c_over_a"] * (entry["system"] == "hcp")
    for key in needed:
        value = entry.get(key)
        if not isinstance(value, (int, float)) or not 0 < value < 20:
            raise InputError(f"{where}: {key} is {value!r}; it must be a positive number below 20")
    for key in entry:
        if key not in sources:
            raise InputError(f"{where}: {key} has no source; say under source where the value comes from")
    return Element(symbol, *(entry.get(key) for key in _KEYS), sources=sources)


def _shown(table):
    return "/".join(Path(table).parts[-2:])


_KEYS = ("system", "lattice_A", "c_over_a", "radius_A", "authors_lattice_A", "authors_radius_A")
