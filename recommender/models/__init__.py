"""The models: a frozen configuration, `fit(interactions, configuration) -> arrays`, and the arrays' meaning.

Pure: no clock, no randomness, no files. Equal interactions give equal bytes, whatever the number of threads.
"""
