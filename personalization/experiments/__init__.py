"""Which variant works: learning it, testing it, and estimating it from the log."""
