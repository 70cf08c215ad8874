"""Files that come with perrin beside its code: beside the library in a checkout, inside it after `pip install`."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
IN_CHECKOUT = {"config": "../../config", "report": "../report", "compare": "../compare"}


def shipped(name):
    """The folder of that name (config, report, compare): of the checkout, or else the one that was installed."""
    here = (PACKAGE / IN_CHECKOUT[name]).resolve()
    installed = PACKAGE / "shipped" / name
    return installed if installed.is_dir() else here
