"""Reading the files of the evaluation protocols: plain text or gzip, ids of any characters but white space."""
