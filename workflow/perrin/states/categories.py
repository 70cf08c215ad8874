"""The kind of dynamics of a trajectory, by explicit rules on its series, with a probability and a sentence why.

The paper names the kinds by eye; docs/categories.md states the rules. Series: number of atoms, share of atoms with more
than 8 neighbours (core coordination). The true series are drawn, given the measured ones and their errors; each draw is
named, and the most frequent name is the category, its share the probability.
"""

import numpy as np

from perrin.states.bootstrap import normal_quantile

TAUS = 60  # values of the scatter of a series that are tried
NAMES = {
    "ESC": "etching with a stable core",
    "ESIP": "etching with a stable initial phase",
    "EFC": "etching with a fluctuating core",
    "ECT": "etching with a core transition",
    "FAC": "fluctuating atom composition",
    "FACHC": "fluctuating atom composition with a highly stable core",
    "undetermined": "none of the kinds",
}
RULES = {
    "net_loss": 0.08,  # share of the first state's atoms; a smaller net change is none
    "gain": 0.05,  # a rise by more than this between two states means that atoms came back
    "still": 0.035,  # a change per transition by less is none
    "reversal": 0.035,  # share with CN > 8: swings smaller than this are no fluctuation
    "step": 0.08,  # share with CN > 8: a drop by this between levels is a transition of the core
    "stable_core": 0.05,  # share with CN > 8: the whole range of a highly stable core
    "initial": 0.3,  # share of the time that a stable initial phase lasts at least
}


def name_series(n_atoms, fraction, time_s, rules=RULES):
    """(category, why) of one pair of series without errors. n_atoms, fraction, time_s : (s,), s >= 3."""
    n, f, t = (np.asarray(values, float) for values in (n_atoms, fraction, time_s))
    change = np.diff(n) / n[0]
    net = (n[-1] - n[0]) / n[0]
    rise = (n - np.minimum.accumulate(n)).max() / n[0]
    span = np.ptp(f)
    core = of_first_size(f, n)
    swings = turning_points(core, rules["reversal"])
    if abs(net) <= rules["net_loss"]:
        if rise <= rules["gain"] and np.ptp(n) / n[0] <= rules["net_loss"]:
            return "undetermined", f"the number of atoms hardly changes ({100 * net:+.0f} %)"
        if rise <= rules["gain"]:
            return "undetermined", f"a net change of {100 * net:+.0f} % without atoms coming back"
        said = f"atoms leave and come back, net {100 * net:+.0f} %"
        if span <= rules["stable_core"]:
            return "FACHC", f"{said}; the core's coordination stays within {100 * span:.0f} points"
        return "FAC", f"{said}; the core's coordination varies by {100 * span:.0f} points"
    if net > 0:
        return "undetermined", f"the particle grows by {100 * net:.0f} %"
    lost = f"{-100 * net:.0f} % of the atoms are lost"
    quiet = 0
    while quiet < len(change) and abs(n[quiet + 1] - n[0]) / n[0] <= rules["still"]:
        quiet += 1
    if quiet >= 2 and (t[quiet] - t[0]) >= rules["initial"] * (t[-1] - t[0]):
        return "ESIP", f"{quiet + 1} states alike over {t[quiet] - t[0]:.1f} s, then {lost}"
    if swings >= 2:
        return "EFC", f"{lost}; the core's coordination turns {swings} times"
    if swings == 1:
        k = int(np.argmin(core[1:-1])) + 1
        if core[k] < core[0] and core[k] < core[-1]:
            return "ECT", f"{lost}; one intermediate state with a destabilised core, then order returns"
        return "EFC", f"{lost}; the core's coordination rises and falls again"
    step = core_step(core, rules["step"])
    if step is not None:
        return "ECT", f"{lost}; the core's coordination drops once, between states {step + 1} and {step + 2}"
    return (
        "ESC",
        f"{lost}; the core's coordination changes slowly, from {100 * f[0]:.0f} to {100 * f[-1]:.0f} %",
    )


def of_first_size(fraction, n_atoms):
    """The share with CN > 8 that a particle of the same surface would have at the first state's size.

    The rest are atoms of the surface, whose share of a compact particle goes with one over its diameter: what shrinks
    without any change of its core loses some points, after which a fall would count as a turn.
    """
    n = np.asarray(n_atoms, float)
    return 1 - (1 - np.asarray(fraction, float)) * np.cbrt(np.maximum(n, 0) / n[0])


def turning_points(series, least):
    """Number of times that a series turns by more than `least` (smaller swings are passed over)."""
    turns, direction, extreme = 0, 0, series[0]
    low = high = series[0]
    for value in series[1:]:
        if direction == 0:
            low, high = min(low, value), max(high, value)
            if value - low > least:
                direction, extreme = 1, value
            elif high - value > least:
                direction, extreme = -1, value
        elif direction * (value - extreme) >= 0:
            extreme = value
        elif direction * (extreme - value) > least:
            turns, direction, extreme = turns + 1, -direction, value
    return turns


def core_step(fraction, least):
    """Index of a transition between two levels: a drop above `least` with two states or more, alike, on both sides.

    None where there is none. Alike: the change within each side is below half of the drop.
    """
    drop = -np.diff(fraction)
    k = int(np.argmax(drop))
    before, after = fraction[: k + 1], fraction[k + 1 :]
    if drop[k] < least or len(before) < 2 or len(after) < 2:
        return None
    return k if max(np.ptp(before), np.ptp(after)) < 0.5 * drop[k] else None


def categorise(table, level=0.95, draws=2000, least_states=3, least_probability=0.5, seed=0, rules=RULES):
    """The category of a trajectory. Returns a dict: category, name, probability, probabilities, why, verdict, numbers.

    table : mapping of (s,) arrays in time order, states that failed left out: time_s, n_atoms,
        fraction_cn_gt8, and the last two's
        _low and _high at the given level (NaN: no error)
    Fewer than least_states states, or no name with least_probability: "undetermined".
    """
    n, f, t = (np.asarray(table[name], float) for name in ("n_atoms", "fraction_cn_gt8", "time_s"))
    facts = {"states": len(n)}
    if len(n):
        facts |= {"first_atoms": n[0], "last_atoms": n[-1], "net_change": (n[-1] - n[0]) / n[0]}
        facts |= {
            "core_range": np.ptp(f),
            "core_turns": turning_points(of_first_size(f, n), rules["reversal"]),
        }
    if len(n) < least_states:
        why = f"{len(n)} usable state{'s' * (len(n) != 1)}; a kind of dynamics needs at least {least_states}"
        return _result(
            "undetermined", 1.0, {"undetermined": 1.0}, why, facts, "doubtful" if len(n) else "failed"
        )
    rng = np.random.default_rng(seed)
    drawn = np.stack([_drawn(table, name, level, rng, draws) for name in ("n_atoms", "fraction_cn_gt8")])
    names = [name_series(drawn[0, k], drawn[1, k], t, rules)[0] for k in range(draws)]
    found, count = np.unique(names, return_counts=True)
    order = np.argsort(-count, kind="stable")
    shares = {str(found[k]): float(count[k] / draws) for k in order}
    best, why = name_series(n, f, t, rules)
    top = next(iter(shares))
    probability = shares[top]
    if top != best:
        why = f"as measured {best} ({why}), but within the errors {top} more often"
    if probability < least_probability:
        why = f"no kind is likelier than {100 * probability:.0f} %; nearest: {top}; {why}"
        top = "undetermined"
    verdict = "good" if probability >= 0.7 and top != "undetermined" else "doubtful"
    return _result(top, probability, shares, why, facts, verdict)


def _drawn(table, name, level, rng, draws):
    """(draws, s) of a series within its errors."""
    value = np.asarray(table[name], float)
    low, high = (np.asarray(table[f"{name}_{side}"], float) for side in ("low", "high"))
    return draw_series(value, np.nan_to_num((high - low) / (2 * normal_quantile(level))), rng, draws)


def draw_series(value, sigma, rng, draws):
    """(draws, s) of the true series, given what was measured and its errors.

    Errors added to measured values would count twice: they widen the range and make turns where there are none. So the
    true values are taken to scatter by an unknown tau about an unknown mean; tau is drawn first (no value preferred up
    to three times the measured scatter), then the mean, then the values (Gelman et al., Bayesian Data Analysis, 5.4).
    value, sigma : (s,), s >= 3; values without errors stay as they are
    """
    value, sigma = np.asarray(value, float), np.asarray(sigma, float)
    scatter = value.std(ddof=1)
    if not sigma.any() or scatter == 0:
        return np.tile(value, (draws, 1))
    tau = scatter * (np.arange(TAUS) + 0.5) * 3 / TAUS
    weight = 1 / (tau[:, None] ** 2 + sigma**2)
    mean = (weight * value).sum(1) / weight.sum(1)
    logarithm = 0.5 * np.log(weight).sum(1) - 0.5 * np.log(weight.sum(1))
    logarithm -= 0.5 * (weight * (value - mean[:, None]) ** 2).sum(1)
    chance = np.exp(logarithm - logarithm.max())
    drawn = rng.choice(TAUS, draws, p=chance / chance.sum())
    centre = mean[drawn] + rng.standard_normal(draws) / np.sqrt(weight[drawn].sum(1))
    kept = tau[drawn, None] ** 2 * weight[drawn]  # share of a measured deviation that is true
    spread = sigma * np.sqrt(kept)
    return (
        centre[:, None] + kept * (value - centre[:, None]) + spread * rng.standard_normal((draws, len(value)))
    )


def _result(category, probability, probabilities, why, facts, verdict):
    return {
        "category": category,
        "name": NAMES[category],
        "probability": probability,
        "probabilities": probabilities,
        "why": why,
        "verdict": verdict,
        **facts,
    }
