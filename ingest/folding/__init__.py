"""Facts become states: one fold, and the shells that run it in each deployment."""
