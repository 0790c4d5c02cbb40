"""Where facts are kept: the embedded log on SQLite."""
