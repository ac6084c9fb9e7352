from __future__ import annotations

from pathlib import Path

import pytest

from tests.certificate import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate with its key for 127.0.0.1."""
    return make_certificate(tmp_path_factory.mktemp("tls") / "server.pem")
