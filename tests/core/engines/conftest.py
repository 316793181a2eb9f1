"""Both engines; the workers of `processes` start once for all tests that leave them in good order."""

import pytest

from sim_compress.core.engines import engine


@pytest.fixture(scope="package")
def pool():
    with engine("processes", 2) as workers:
        yield workers


@pytest.fixture(params=["serial", "processes"])
def either(request):
    if request.param == "processes":
        yield request.getfixturevalue("pool")
    else:
        with engine("serial") as alone:
            yield alone
