"""One thread for BLAS: its small products lose ten times the time that they gain where the machine is busy."""

import os

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread():
    """For libraries that were loaded before this file."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield
