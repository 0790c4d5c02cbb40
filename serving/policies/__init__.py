"""Which homepage works, from the log: what another configuration would have earned, and how experiments stand."""
