"""Where dead letters are kept."""
