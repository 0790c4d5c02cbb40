"""How good the recommendations are on public data sets, beside what others reach: writes docs/benchmarks.md."""
