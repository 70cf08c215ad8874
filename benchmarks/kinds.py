"""Kinds of dynamics of trajectories built atom by atom as the published text describes them, over seeds.

    python benchmarks/kinds.py --seeds 0 20

A trajectory is a Pt particle of 180 to 600 atoms in four to seven states. Atoms are etched from one side, the least
coordinated first, or come back to where they were; where the core is to be destabilised, a share of all atoms is
thrown off its sites. Every state is then measured with errors: 0.04 A an axis, surface atoms missed. What
follows is the stages' own: perrin.states.coordination and bootstrap (share of atoms with more than 8 neighbours and its
interval, cut-off of the bulk) and perrin.states.categories. Prints a table: how often each kind is named, and how often
with the verdict good.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from engine import particle

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from perrin.files.elements import element  # noqa: E402
from perrin.simulate.particle import remove_atoms  # noqa: E402
from perrin.states import bootstrap, coordination  # noqa: E402
from perrin.states.categories import categorise  # noqa: E402

KINDS = {
    "ESC": "etched steadily",
    "ESIP": "three states alike, then etched",
    "EFC": "etched; every second state with a destabilised core",
    "ECT": "etched; one state between with a destabilised core",
    "FAC": "atoms leave and come back; core destabilised meanwhile",
    "FACHC": "atoms leave and come back",
    "short": "ESC of two states",
    "still": "nothing happens",
    "border": "etched by 6 to 10 %, where net loss begins at 8 %",
}
ERROR_A, DRAWS = 0.04, 100
SIZES = {
    "ESC": (182, 698),
    "ESIP": (182, 285),
    "EFC": (316, 533),
    "ECT": (353, 571),
    "FAC": (316, 353),
    "FACHC": (182, 285),
}


def course(kind, states, rng):
    """Share of the atoms there and share of them thrown off their sites, in every state."""
    x = np.linspace(0, 1, states)
    lost, calm = 1 - rng.uniform(0.12, 0.43) * x, np.zeros(states)
    away = rng.uniform(0.3, 0.6)
    if kind in ("FAC", "FACHC"):
        dip = rng.uniform(0.1, 0.17)
        back = np.interp(x, [0, 0.5, 1], [1, 1 - dip, 1 + rng.uniform(-0.03, 0)])
        return back, (away * np.interp(x, [0, 0.5, 1], [0, 1, 0.3]) if kind == "FAC" else calm)
    if kind == "ESIP":
        late = np.clip((x - x[2]) / (1 - x[2]), 0, 1)
        return 1 - rng.uniform(0.12, 0.2) * late, calm
    if kind == "EFC":
        return lost, away * (np.arange(states) % 2)
    if kind == "ECT":
        return lost, away * (np.arange(states) == rng.integers(1, states - 1))
    if kind == "still":
        return np.ones(states), calm
    if kind == "border":
        return 1 - rng.uniform(0.06, 0.1) * x, calm
    return lost, calm


def measured(xyz, there, away, missed, rng):
    """A state with errors, and the intervals that `statistics` would give it."""
    places = xyz[there]
    thrown = rng.choice(len(places), round(away * len(places)), replace=False)
    places[thrown] += rng.normal(0, 0.5, (len(thrown), 3))
    cut = coordination.cutoff(places, "fcc", element("Pt").lattice_A, "bulk")
    surface = coordination.coordination_numbers(places, cut) < 10
    kept = ~surface | (rng.random(len(places)) > missed)
    places = places[kept] + rng.normal(0, ERROR_A, (kept.sum(), 3))
    covariance = np.broadcast_to(ERROR_A**2 * np.eye(3), (len(places), 3, 3))
    here = bootstrap.draw_presence(np.where(surface[kept], 1 - missed, 1.0), rng, DRAWS)
    drawn = zip(bootstrap.draw_positions(places, covariance, rng, DRAWS), here)
    again = [share_above(xyz[present], cut) for xyz, present in drawn]
    out = {"n_atoms": len(places), "fraction_cn_gt8": share_above(places, cut)}
    for name, draws in (("n_atoms", here.sum(1)), ("fraction_cn_gt8", again)):
        out[f"{name}_low"], out[f"{name}_high"] = bootstrap.centred_interval(out[name], draws)
    return out


def share_above(xyz, cut):
    """Share of the atoms with more than 8 neighbours."""
    return coordination.fraction_above(coordination.coordination_numbers(xyz, cut))


def trajectory(kind, seed, missed):
    """The category of one trajectory."""
    rng = np.random.default_rng([seed, 46, sorted(KINDS).index(kind)])
    metal = element("Pt")
    atoms = int(rng.integers(*SIZES.get(kind, (182, 698))))
    states = 2 if kind == "short" else int(rng.integers(4, 8))
    xyz = particle("plain", atoms, metal, seed)
    share, away = course(kind, states, rng)
    direction = rng.normal(size=3)
    table = {"time_s": np.cumsum(rng.uniform(4, 9, states))}
    found = []
    for part, off in zip(share, away):
        there = remove_atoms(xyz, round((1 - min(part, 1)) * len(xyz)), metal.lattice_A, direction)
        found.append(measured(xyz, there, off, missed, rng))
    for name in ("n_atoms", "fraction_cn_gt8"):
        table |= {
            name + end: np.array([one[name + end] for one in found], float) for end in ("", "_low", "_high")
        }
    return categorise(table), table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 20), help="first and last + 1")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument(
        "--missed", type=float, default=0.002, help="share of the surface atoms that are not found"
    )
    parser.add_argument("--show", action="store_true", help="the series of every trajectory")
    options = parser.parse_args()
    print(
        "| built as | what happens | trajectories | named | of these with the verdict good | "
        "share with CN > 8, range in points |\n|---|---|---|---|---|---|"
    )
    for kind in options.kinds:
        names, good, ranges = Counter(), Counter(), []
        for seed in range(*options.seeds):
            result, table = trajectory(kind, seed, options.missed)
            names[result["category"]] += 1
            good[result["category"]] += result["verdict"] == "good"
            ranges.append(100 * np.ptp(table["fraction_cn_gt8"]))
            if options.show:
                print(
                    kind,
                    seed,
                    result["category"],
                    result["why"],
                    table["n_atoms"],
                    table["fraction_cn_gt8"].round(3),
                    file=sys.stderr,
                )
        said = ", ".join(f"{name} {count}" for name, count in names.most_common())
        sure = ", ".join(f"{name} {good[name]}" for name, _ in names.most_common() if good[name])
        print(
            f"| {kind} | {KINDS[kind]} | {names.total()} | {said} | {sure or 'none'} | "
            f"{min(ranges):.0f} to {max(ranges):.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
