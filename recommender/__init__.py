"""What goes well with what, and with whom: models over interactions, pure and content-addressed."""
