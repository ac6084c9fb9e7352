"""Puts a newsroom's stories out by email, Telegram and X."""

__version__ = "0.1.0"
