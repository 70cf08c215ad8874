"""Where a long stage is: a line now and then in a log, a bar in a terminal."""

import logging
import sys
import time

log = logging.getLogger("perrin")


def progress(items, label, total=None, every_s=5.0):
    """Yield the items of an iterable while reporting how many are done and the time left.

    items : iterable
    label : what is counted, e.g. "frames tracked"
    total : number of items; len(items) where it is not given
    every_s : seconds between two lines of the log; a terminal gets a bar, redrawn five times a second
    """
    total = len(items) if total is None else total
    bar = sys.stderr.isatty()
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last < (0.2 if bar else every_s) and not (bar and done == total):
            continue
        last = now
        left = (now - start) / done * (total - done)
        if bar:
            filled = round(30 * done / max(total, 1))
            end = "\n" if done == total else ""
            sys.stderr.write(f"\r{label} [{'#' * filled:<30}] {done}/{total}, {left:.0f} s left {end}")
            sys.stderr.flush()
        else:
            log.info("%s: %d of %d, %.0f s left", label, done, total, left)
