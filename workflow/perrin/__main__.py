"""perrin without a movie: `python -m perrin stats FILE`, `compare FILE FILE ...`, `plan --atoms N`.

Run from workflow/, or anywhere after `pip install .`.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from perrin.files.errors import InputError
from perrin.version import VERSION


def main(arguments=None):
    """Run one command; 0, or 1 after one sentence on what is wrong with the input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        options.run(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="python -m perrin", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=f"perrin {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    stats = commands.add_parser("stats", help="all statistics of one particle")
    stats.add_argument("file", type=Path, help="coordinates: .xyz, .extxyz, .pdb, .cif or .csv, in angstrom")
    stats.add_argument("--json", type=Path, metavar="OUT", help="write all numbers here; - for the terminal")
    stats.add_argument(
        "--csv", type=Path, metavar="OUT", help="write one row an atom here (and OUT.columns.json)"
    )
    stats.add_argument(
        "--pdb", type=Path, metavar="OUT", help="write the radial strain (%%) as a map, in the B column"
    )
    stats.add_argument(
        "--map",
        type=Path,
        metavar="MAP",
        help="the atoms' map, .mrc: adds to --csv what it says of each atom",
    )
    stats.add_argument(
        "--model", type=int, default=1, help="which model of a file that holds several (default 1)"
    )
    _add_choices(stats)
    stats.set_defaults(run=_stats)

    compare = commands.add_parser(
        "compare", help="a series of models: who stayed, left, arrived; core, rates, a page"
    )
    compare.add_argument(
        "files", type=Path, nargs="+", help="two models or more in time order; or one file of several"
    )
    compare.add_argument("--times", type=float, nargs="+", metavar="S", help="time of each model, seconds")
    compare.add_argument(
        "--out", type=Path, default=Path("compared"), help="folder to write (default: compared)"
    )
    compare.add_argument("--name", default="particle", help="what the page calls the particle")
    _add_choices(compare)
    compare.set_defaults(run=_compare)
    _add_plan(commands)
    return parser


def _add_plan(commands):
    plan = commands.add_parser("plan", help="what precision a movie can give, before it is taken")
    words = {
        "atoms": (int, None, "atoms of the particle"),
        "dose": (float, 17.0, "electrons a pixel and frame"),
        "rotation": (float, 2.5, "turn from frame to frame, degrees rms, all axes together"),
        "frames": (int, 750, "frames in which the structure holds still"),
        "rate": (float, 400.0, "frames a second"),
        "pixel": (float, 0.358, "pixel size, angstrom"),
        "contrast": (float, 0.27, "height of an atom's image as a share of the background"),
        "paths": (int, 3, "simulated tumblings"),
        "seed": (int, 0, "of the simulated tumblings"),
    }
    for name, (kind, usual, said) in words.items():
        text = said if usual is None else f"{said} (default {usual:g})"
        plan.add_argument(f"--{name}", type=kind, default=usual, required=usual is None, help=text)
    plan.add_argument("--element", default="Pt", help="symbol of the metal (default Pt)")
    plan.add_argument("--figure", type=Path, help="write the figure here, .svg or .png")
    plan.add_argument("--csv", type=Path, metavar="OUT", help="write the table here (and OUT.columns.json)")
    plan.set_defaults(run=_plan)


def _add_choices(parser):
    words = {
        "element": "symbol of the metal, for example Pt (default: the one the file names)",
        "cutoff": "neighbours are nearer: fitted, bulk, rdf, or a number of angstrom (default fitted)",
        "lattice": "constant that strain refers to: measured bulk, or the published program's",
        "width": "width of the local strain's weights, angstrom, or cv: by cross-validation",
        "seed": "of the random numbers behind the intervals (default 0)",
    }
    parser.add_argument("--element", help=words["element"])
    parser.add_argument("--cutoff", default="fitted", metavar="C", help=words["cutoff"])
    parser.add_argument("--lattice", choices=("bulk", "authors"), default="bulk", help=words["lattice"])
    parser.add_argument("--width", default=None, metavar="A", help=words["width"])
    parser.add_argument("--seed", type=int, default=0, help=words["seed"])


def _settings(options):
    """Keyword arguments of perrin.states.describe.describe."""
    from perrin.states.coordination import CUTOFF_MODES

    found = {"cn_cutoff": options.cutoff, "lattice_source": options.lattice, "seed": options.seed}
    if options.cutoff not in CUTOFF_MODES:
        found["cn_cutoff"] = _number(
            options.cutoff, "--cutoff", f"{', '.join(CUTOFF_MODES)} or angstrom", 1, 10
        )
    if options.width is not None:
        found["strain_width_A"] = (
            None if options.width == "cv" else _number(options.width, "--width", "cv or angstrom", 1, 10)
        )
    return found


def _number(text, option, valid, low, high):
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{option} is {text!r}; valid are {valid}") from None
    if not low <= value <= high:
        raise InputError(f"{option} is {text}; valid are numbers from {low} to {high}")
    return value


def _stats(options):
    from perrin.atoms.in_map import MAP_COLUMNS
    from perrin.files.atomic import plain, write_json
    from perrin.files.tables import write_table
    from perrin.states.particle import particle
    from perrin.states.statistics import ATOM_STATS_COLUMNS

    if options.csv is not None and options.csv.suffix not in (".csv", ".tsv"):
        raise InputError(f"{options.csv}: the table of atoms is written as .csv or .tsv; give such a name")
    found = particle(options.file, options.element, options.model, options.map, **_settings(options))
    facts, per_atom = found.facts, found.per_atom
    if options.csv is not None:
        write_table(options.csv, per_atom, ATOM_STATS_COLUMNS | (MAP_COLUMNS if options.map else {}))
    if options.pdb is not None:
        import numpy as np

        from perrin.files.records import Atoms
        from perrin.states.statistics import write_b_column_pdb

        xyz = np.stack([per_atom[f"{axis}_A"] for axis in "xyz"], 1)
        n = len(xyz)
        atoms = Atoms(xyz, np.ones(n), np.full((n, 3, 3), np.nan), np.ones(n), facts["element"])
        write_b_column_pdb(options.pdb, atoms, per_atom["strain_radial_pct"], "RADIAL STRAIN IN PERCENT")
    if options.json is not None and str(options.json) != "-":
        write_json(options.json, facts)
    if options.json is not None and str(options.json) == "-":
        import json

        print(json.dumps(plain(facts), indent=1, allow_nan=False, ensure_ascii=False))
    else:
        print(_text(facts))


def _text(facts):
    """What the terminal shows of a particle."""
    lattice, order, depth = facts["lattice"], facts["crystallinity"], facts["intervals"]

    def number(value, digits=3):
        return "-" if value is None or value != value else f"{value:.{digits}f}"

    def between(name, digits):
        low, high = depth[name]
        return "" if low is None or low != low else f" ({number(low, digits)} to {number(high, digits)})"

    histogram = " ".join(f"{k}:{v}" for k, v in facts["cn_histogram"].items())
    edges = " ".join(number(lattice[f"{k}_A"]) for k in "abc")
    lines = {
        "atoms": f"{facts['n_atoms']} {facts['element']}, {facts['structure']}",
        "largest distance": f"{number(facts['diameter_A'], 2)} A",
        "diameter by hull": f"{number(facts['diameter_hull_A'], 2)} A",
        "coordination": f"{histogram}  (cut-off {number(facts['cn_cutoff_A'])} A)",
        "share with CN > 8": f"{100 * facts['fraction_cn_gt8']:.1f} %",
        "nearest atom": f"{number(facts['mean_nn_A'])} A, mean",
        "lattice a, b, c": f"{edges} A, {lattice['status']}",
        "against the bulk": f"{number(lattice['strain_pct'], 2)} % of {number(lattice['bulk_A'], 4)} A",
        "mean radial strain": f"{number(facts['mean_radial_strain_pct'])} %{between('mean_radial_strain_pct', 3)}",
        "penetration depth": f"{number(facts['penetration_depth_A'], 2)} A{between('penetration_depth_A', 2)}",
        "crystallinity": f"{number(order['order'])} (ks_shells {number(order['ks_shells'])})",
    }
    text = [f"{name:20s} {value}" for name, value in lines.items()]
    return "\n".join(text + [f"note: {sentence}" for sentence in facts["warnings"]])


def _plan(options):
    from perrin.files.tables import write_table
    from perrin.simulate import plan

    limits = {"atoms": (13, 3000), "dose": (0.1, 1e4), "rotation": (0.05, 90), "frames": (40, 20000),
              "rate": (0.01, 1e6), "pixel": (0.02, 2), "contrast": (1e-3, 5), "paths": (1, 50)}  # fmt: skip
    for name, (low, high) in limits.items():
        _number(str(getattr(options, name)), f"--{name}", f"numbers from {low:g} to {high:g}", low, high)
    for path, kinds in ((options.figure, (".svg", ".png")), (options.csv, (".csv", ".tsv"))):
        if path is not None and path.suffix not in kinds:
            raise InputError(f"{path}: is written as {' or '.join(kinds)}; give such a name")
    found = plan.plan(
        n_atoms=options.atoms, element=options.element, pixel_A=options.pixel, dose_e_px=options.dose,
        contrast=options.contrast, step_deg=options.rotation, rate_hz=options.rate, frames=options.frames,
        paths=options.paths, seed=options.seed,
    )  # fmt: skip
    title = f"{options.atoms} {options.element} atoms, {options.dose:g} e/px, {options.rotation:g} degrees a frame"
    print(f"{title}\n\n{plan.words(found, options.rate)}")
    if options.csv is not None:
        write_table(options.csv, found["table"], plan.EXPECTED)
    if options.figure is not None:
        plan.write_figure(options.figure, found, options.rate, title)


def _compare(options):
    from perrin.report.compare import compare

    about = {"times_s": options.times, "element": options.element, "name": options.name}
    page = compare(options.files, options.out, **about, **_settings(options))
    print(f"{page['text']}\nThe page is {page['index']}")


if __name__ == "__main__":
    sys.exit(main())
