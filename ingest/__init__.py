"""Facts come in and are kept: dialects, the collector, the log, folded states, the catalogue, privacy."""
