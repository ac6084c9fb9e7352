"""The configuration file and the environment, read once into one frozen Settings."""

from __future__ import annotations

from distributor.settings.load import load_settings
from distributor.settings.model import ScheduleSettings, Settings
from distributor.settings.starter import write_starter

__all__ = ["ScheduleSettings", "Settings", "load_settings", "write_starter"]
