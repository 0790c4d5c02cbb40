"""Speed and size, measured: `python -m tests.bench` prints one table. Nothing here is a test, and no test is timed."""
