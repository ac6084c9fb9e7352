"""Posts to one Telegram chat or channel through a bot."""
