"""Where finished imports are noted."""
