"""Which homepage fits a situation: variants with conditions, the choice between them, what a linter finds."""
