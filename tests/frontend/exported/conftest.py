"""Files are exported once for all tests."""

import pytest

from tests.frontend.exported.exporting import Exports


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Exports:
    return Exports(tmp_path_factory.mktemp("exported"))
