"""One file a foreign format: each turns what others send into `Incoming` facts."""
