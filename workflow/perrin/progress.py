"""Where a long stage is: a line now and then in a log, a bar in a terminal."""

import logging
import sys
import time
from contextlib import contextmanager

log = logging.getLogger("perrin")
_shown = []  # terminals, innermost last: (stream, title)


@contextmanager
def on_terminal(stream, title=""):
    """Draw the bars on this stream where it is a terminal, with a title before them, beside the lines in the log."""
    _shown.append((stream, title))
    try:
        yield
    finally:
        _shown.pop()


def progress(items, label, total=None, every_s=5.0):
    """Yield the items of an iterable while reporting how many are done and the time left.

    items : iterable
    label : what is counted, e.g. "frames tracked"
    total : number of items; len(items) where it is not given
    every_s : seconds between two lines of the log; a terminal gets a bar, redrawn five times a second
    """
    total = len(items) if total is None else total
    stream, title = _shown[-1] if _shown else (sys.stderr, "")
    bar = stream.isatty()
    lines = stream is not sys.stderr or not bar
    start = logged = drawn = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        left = (now - start) / done * (total - done)
        if lines and now - logged >= every_s:
            log.info("%s: %d of %d, %.0f s left", label, done, total, left)
            logged = now
        if bar and (now - drawn >= 0.2 or (done == total and drawn > start)):
            filled = round(30 * done / max(total, 1))
            end = "\n" if done == total else ""
            before = f"{title}: " if title else ""
            stream.write(f"\r{before}{label} [{'#' * filled:<30}] {done}/{total}, {left:.0f} s left {end}")
            stream.flush()
            drawn = now
