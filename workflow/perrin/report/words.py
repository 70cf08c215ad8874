"""Numbers and verdicts in words, for people."""

import math

import numpy as np

ORDER = ("good", "doubtful", "failed")
MARKS = {"good": "✓", "doubtful": "?", "failed": "✗", "": "–"}


def number(value, digits=3):
    """A number with so many significant digits and no exponent where that is readable; a dash for none."""
    if value is None or isinstance(value, str):
        return value or "–"
    if isinstance(value, (list, tuple)):
        return " to ".join(number(item, digits) for item in value)
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    value = float(value)
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e7:
        return f"{int(value):,}".replace(",", " ").replace("-", "−")
    if not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}".replace("-", "−")


def interval(value, low, high):
    """(value, "low to high") with as many decimals as the width of the interval deserves; "" without one."""
    if value is None or not np.isfinite(value):
        return "–", ""
    if low is None or high is None or not (np.isfinite(low) and np.isfinite(high)):
        return number(value), ""
    if high - low <= 2e-6 * abs(value):  # equal but for the digits of a file
        return number(value), f"{number(low)} to {number(high)}"
    decimals = max(0, 1 - math.floor(math.log10(high - low)))
    if value == int(value) and low == int(low) and high == int(high):
        decimals = 0
    decimals = min(decimals, 6)
    texts = [f"{x:.{decimals}f}".replace("-", "−") for x in (value, low, high)]
    whole = value == int(value) and abs(value) >= 1
    return number(value) if whole else texts[0], f"{texts[1]} to {texts[2]}"


def brief(why):
    """A reason without the list of checks that follows "all checks passed": the page has them in a table."""
    return "all checks passed" if why.startswith("all checks passed") else why


def worst(verdicts):
    """The worst of some verdicts, "" where there is none."""
    known = [v for v in verdicts if v in ORDER]
    return max(known, key=ORDER.index) if known else ""


def plural(count, one, many=None):
    """ "1 window", "2 windows"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(texts):
    """ "a, b and c"."""
    texts = list(texts)
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + " and " + texts[-1] if texts else ""


def trajectory_verdict(stages, windows):
    """(verdict, why) of a whole trajectory.

    stages : list of {"name", "verdict", "why"} of what is done once a trajectory
    windows : list of verdicts of its windows

    Failed where no window holds a structure; good only where every window and every stage is good.
    """
    usable = [v for v in windows if v in ("good", "doubtful")]
    if not usable:
        said = next((s for s in stages if s["verdict"] == "failed"), None)
        if said:
            return "failed", f"{said['name']}: {said['why']}"
        return (
            "failed",
            "no window of time holds a structure" if windows else "no window of time was analysed",
        )
    weak = [f"{s['name']} {s['verdict']}" for s in stages if s["verdict"] in ("doubtful", "failed")]
    for verdict in ("failed", "doubtful"):
        if count := windows.count(verdict):
            weak.append(f"{plural(count, 'window')} {verdict}")
    if weak:
        return "doubtful", listed(weak) + ": read the reasons below before using the numbers"
    return "good", "every stage and every window passed its checks"


def found_sentence(element, states):
    """What was found in a trajectory, in one sentence.

    states : DataFrame of dynamics/states.csv, or None
    """
    if states is None or not len(states):
        return f"No structure of the {element} particle."
    good = states[states["verdict"] != "failed"]
    if not len(good):
        return f"No structure of the {element} particle: {plural(len(states), 'window')} failed."
    atoms = [int(n) for n in good["n_atoms"].dropna()]
    shown = atoms if len(atoms) <= 4 else [atoms[0], atoms[-1]]
    arrow = " → " if len(atoms) <= 4 else " → … → "
    text = f"{arrow.join(map(str, shown))} {element} atoms in {plural(len(good), 'state')}"
    failed = len(states) - len(good)
    if failed:
        text += f" ({plural(failed, 'window')} failed)"
    sigma = good["mean_sigma_A"].dropna() if "mean_sigma_A" in good else []
    if len(sigma):
        text += f"; positions to ±{number(float(sigma.median()), 2)} Å along an axis"
    if "diameter_A" in good and good["diameter_A"].notna().any():
        text += f"; {number(float(good['diameter_A'].iloc[0]) / 10, 2)} nm across"
    return text + "."


def faulty_pixels(places, most=6):
    """How many pixels of the camera were hot or dead, and where; places : (n, 2) rows and columns."""
    if len(places) == 0:
        return "No pixel of the camera was hot or dead."
    where = ", ".join(f"({x}, {y})" for y, x in places[:most]) + (", …" if len(places) > most else "")
    verb = "was" if len(places) == 1 else "were"
    return f"{plural(len(places), 'hot or dead pixel')} {verb} repaired, at (x, y) {where} of the field."
