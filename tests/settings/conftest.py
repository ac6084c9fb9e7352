"""A desk that writes configurations."""

from pathlib import Path

import pytest

from tests.settings.fakes import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)
