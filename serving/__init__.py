"""The outside world: the composition root, the Flask application, the command line, the demo store."""
