"""The words everyone speaks: ids, positions, events, products, context, rankings, clock, errors, ports."""
