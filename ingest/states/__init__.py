"""Where folded states are kept: opaque bytes, committed with the position they are folded up to."""
