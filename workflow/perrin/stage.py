"""Where a function meets Snakemake: log, threads, errors in one sentence, provenance, outputs whole or not at all."""

import errno
import importlib
import logging
import os
import sys
import traceback
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perrin import progress, workers
from perrin.files.errors import InputError
from perrin.files.provenance import peak_memory_MB, usage, write_provenance

log = logging.getLogger("perrin")
# what a file system may refuse, and the way out
REFUSED = {
    errno.ENOSPC: "the disk is full; make room (snakemake clean_intermediates removes stacks of finished trajectories)",
    errno.EDQUOT: "the quota of the disk is used up; make room or ask for more",
    errno.EFBIG: "the file is larger than this system or shell allows (ulimit -f)",
    errno.EROFS: "the folder is on a file system that is read-only; work where you may write",
    errno.EACCES: "no permission; work in a folder where you may read and write",
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS")
# linear algebra adds up in another order with every number of threads, and results would depend on --cores
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def run(job, function):
    """Run one stage for a Snakemake job and leave its provenance; exit code 1 and no outputs where it fails.

    job : the `snakemake` object of a script. Its rule names every input and output that the function takes;
    inputs without a name only bring about reruns, their paths are in params.cfg, which holds all further
    arguments; params.code are the digests of the code. The output named `provenance` is written here.
    function : dotted name, "perrin.frames.track.track"; imported within the log, and after the threads are set.
    """
    inputs, outputs = _by_name(job.input), _by_name(job.output)
    provenance = outputs.pop("provenance", None)
    cfg = dict(job.params.cfg)
    title = " ".join([job.rule, *job.wildcards])
    since = usage()
    with logged(job.log[0] if job.log else None) as terminal:
        try:
            with threads(job.threads):
                work = _named(function)
                with (
                    limited(job.threads),
                    workers.allowed(job.threads),
                    progress.on_terminal(terminal, title),
                ):
                    work(**inputs, **outputs, **cfg)
            missing = [path for path in _files(outputs) if not Path(path).exists()]
            if missing:
                raise RuntimeError(f"{function} ended without writing {', '.join(missing)}")
            if provenance:
                write_provenance(
                    provenance,
                    stage=job.rule,
                    inputs={**inputs, **_unnamed(job.input, inputs)},
                    config=cfg,
                    digests=dict(job.params.code),
                    since=since,
                    seed=cfg.get("seed"),
                    threads=job.threads,
                )
        except (InputError, MemoryError) as error:
            _give_up(outputs, f"{title}: {_sentence(error, job)}", terminal)
        except OSError as error:
            traceback.print_exc()
            short = error.errno is None and "requested and" in str(
                error
            )  # numpy's words for a write cut short
            code = errno.ENOSPC if short else error.errno
            said = REFUSED.get(code, f"failed unexpectedly ({error}); the traceback is in its log")
            _give_up(outputs, f"{title}: {error.filename2 or error.filename or 'output'}: {said}", terminal)
        except BaseException:
            traceback.print_exc()
            _give_up(outputs, f"{title}: failed unexpectedly; the traceback is in its log", terminal)
        spent = usage()
        log.info(
            "%s: done in %.1f s (%.1f s of CPU), at most %.0f MB",
            title,
            spent["wall_s"] - since["wall_s"],
            spent["cpu_s"] - since["cpu_s"],
            peak_memory_MB(),
        )


@contextmanager
def logged(path):
    """Send stdout, stderr (of libraries in C too) and logging to a file; yields the stderr that was."""
    if path is None:
        yield sys.stderr
        return
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    with open(path, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    streams = sys.stdout, sys.stderr
    sys.stdout = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="replace")
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(message)s", "%H:%M:%S"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield terminal
    finally:
        logging.captureWarnings(False)
        log.removeHandler(handler)
        log.setLevel(level)
        sys.stdout.close()
        sys.stderr.close()
        sys.stdout, sys.stderr = streams
        for number, saved in zip((1, 2), kept):
            os.dup2(saved, number)
            os.close(saved)
        terminal.close()


@contextmanager
def threads(number):
    """Say to libraries that are yet to be loaded how many threads they may use."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES + BLAS_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(number)) | dict.fromkeys(BLAS_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def limited(number):
    """Hold OpenMP and numba, as they are loaded now, and scipy's FFT to `number` threads, BLAS to one."""
    import scipy.fft
    from threadpoolctl import threadpool_limits

    with ExitStack() as stack:
        stack.enter_context(threadpool_limits(limits={"openmp": number, "blas": 1}))
        stack.enter_context(scipy.fft.set_workers(number))
        if numba := sys.modules.get("numba"):
            stack.callback(numba.set_num_threads, numba.get_num_threads())
            numba.set_num_threads(max(1, min(number, numba.config.NUMBA_NUM_THREADS)))
        yield


def _named(function):
    module, _, name = function.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _by_name(files):
    """{name: path or list of paths} of the named inputs or outputs of a job."""
    return {
        name: str(value) if isinstance(value, str) else [str(item) for item in value]
        for name, value in files.items()
    }


def _unnamed(files, named):
    """Inputs without a name, for the record: {"besides": paths}."""
    known = {path for value in named.values() for path in ([value] if isinstance(value, str) else value)}
    besides = [str(path) for path in files if str(path) not in known]
    return {"besides": besides} if besides else {}


def _files(outputs):
    for value in outputs.values():
        yield from [value] if isinstance(value, str) else value


def _sentence(error, job):
    if isinstance(error, MemoryError):
        asked = job.resources.get("mem_mb", "?")
        return (
            f"ran out of memory at {peak_memory_MB():.0f} MB (the rule asks for {asked} MB); "
            f"{error}; shorten the trajectory by first_frame and last_frame, or use a larger machine"
        )
    return " ".join(str(error).split())


def _give_up(outputs, sentence, terminal):
    """Say the sentence in log and terminal, take away what was begun, end with exit code 1."""
    for path in map(Path, _files(outputs)):
        path.with_suffix(".columns.json").unlink(missing_ok=True)
        if path.is_file():
            path.unlink()
    log.error("error: %s", sentence)
    terminal.write(f"\nerror: {sentence}\n")
    terminal.flush()
    raise SystemExit(1)
