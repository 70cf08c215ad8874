"""What the planning tool promises against what the pipeline reached, window by window of finished runs.

    python benchmarks/planning.py RESULTS/NAME ...

The promise knows of a window the number of its atoms, its frames, how fast it turns and how strong an atom is,
and takes a round crystal on paths of its own. Prints a table: the range over five paths, and the pipeline's error bar.
"""

import sys
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "workflow"))

from perrin.files.atomic import read_json  # noqa: E402
from perrin.imaging.profile import Profile  # noqa: E402
from perrin.simulate.plan import crystal, window  # noqa: E402

PATHS = 5


def main():
    """Print the table."""
    print("| trajectory | window | atoms | frames | promised, an axis A (best, median, worst path) | error bar A | "
          "bars within the range |\n|---|---|---|---|---|---|---|", flush=True)  # fmt: skip
    for folder in map(Path, sys.argv[1:]):
        for number, path in enumerate(sorted(folder.glob("windows/*/model.json")), 1):
            model, profile = read_json(path), read_json(path.with_name("profile.json"))
            if model["verdict"] == "failed":
                continue
            sigma, weight = np.array(profile["sigmas_A"]), np.array(profile["weights"])
            assert abs(Profile(sigma, weight, profile["highpass_A1"]).value(0.0) - 1) < 0.01
            heights = weight / (2 * np.pi * sigma**2)  # the amplitude goes with a high-passed height of 1
            xyz = crystal(model["element"], model["n_atoms"])
            found = [
                window(
                    xyz, model["frames"], profile["step_deg"], model["amplitude"], model["pixel_A"], [7, k],
                    tuple(zip(sigma, heights)),
                )["sigma_A"].mean()
                for k in range(PATHS)
            ]  # fmt: skip
            bar = model["sigma_mean_A"]
            low, middle, high = min(found), float(np.median(found)), max(found)
            cells = [
                folder.name,
                number,
                model["n_atoms"],
                model["frames"],
                f"{low:.3f}, {middle:.3f}, {high:.3f}",
            ]
            cells += [f"{bar:.3f}", "yes" if low <= bar <= high else "no"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
