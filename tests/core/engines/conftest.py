"""Engines of this machine; workers start once for all tests that leave them in good order."""

import pytest

from sim_compress.core.engines import engine


@pytest.fixture(scope="package")
def alone():
    with engine("threads", 1) as worker:
        yield worker


@pytest.fixture(scope="package")
def pool():
    with engine("processes", 2) as workers:
        yield workers


@pytest.fixture(params=["threads", "processes"])
def each(request):
    return request.getfixturevalue({"threads": "alone", "processes": "pool"}[request.param])
