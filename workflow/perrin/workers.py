"""Independent pieces of work in as many processes as a stage may use, with the same answers for any number of them."""

import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

_allowed = [1]  # innermost last
WATCH_S = 0.5


@contextmanager
def allowed(number):
    """Let `each` use so many processes."""
    _allowed.append(number)
    try:
        yield
    finally:
        _allowed.pop()


def each(function, items):
    """Yield function(item) of every item, in the items' order.

    function : of a module, or functools.partial of one; a process gets it and an item, and hands the result back
    items : list; with one item, one process allowed, or outside of Linux (where a process cannot be doubled safely
        once libraries run) all is done here
    """
    count = min(_allowed[-1], len(items))
    if count < 2 or sys.platform != "linux":
        yield from map(function, items)
        return
    doubled = multiprocessing.get_context("fork")  # others would run the stage's script once more
    with ProcessPoolExecutor(count, doubled, initializer=_end_with, initargs=(os.getpid(),)) as pool:
        yield from pool.map(function, items)


def _end_with(parent):
    """End this process when its parent was killed: it would wait for more work for ever."""

    def watch():
        while os.getppid() == parent:
            time.sleep(WATCH_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
