"""A renderer that many tests share: its child process costs more to start than a test."""

from __future__ import annotations

from pathlib import Path

from distributor.pipeline.render import Renderer, Templates
from distributor.shipped import templates_dir


class SharedRenderer(Renderer):
    """Words with the shipped templates and those that a test puts into `folder`; an app does not close it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(Templates([folder, templates_dir()]))

    def close(self) -> None:
        return

    def end(self) -> None:
        super().close()
