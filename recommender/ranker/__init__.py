"""The ranker: rows of features of a request's candidates in, one score a candidate out.

Pure: no clock, no randomness but a seed's, no files. Equal choices give equal arrays, whatever the number of threads.
"""
