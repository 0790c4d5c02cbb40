"""What is known about one customer: the bounded profile, its one reducer, its projection."""
