"""What would have been shown to whom, had another configuration decided over the real log."""
