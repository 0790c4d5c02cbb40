"""The commands of `dangol`, a file for each thing they are about."""
