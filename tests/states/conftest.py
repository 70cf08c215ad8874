"""Where the measured models lie, for the tests that need them."""

import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # clusters.py

ROOT = Path(__file__).resolve().parents[2]
SHARED = next((p / "shared" for p in ROOT.parents[:2] if (p / "shared").is_dir()), ROOT / "../shared")
COORDINATES = SHARED / "data/coordinates"


@pytest.fixture
def measured():
    """A function name -> (n, 3) of a measured or shared model; skips where they are absent."""

    def read(name, columns=("x_A", "y_A", "z_A")):
        path = COORDINATES / f"{name}.csv"
        if not path.is_file():
            pytest.skip("the shared coordinate files are not beside this checkout")
        return pd.read_csv(path)[list(columns)].to_numpy()

    return read
