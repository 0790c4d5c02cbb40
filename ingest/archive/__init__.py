"""History as columns: Parquet files by day, written from the log exactly once, read as one log with what is behind."""
