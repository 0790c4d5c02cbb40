"""`python -m serving` is `dangol`."""

from serving.cli import main

if __name__ == "__main__":
    main(prog_name="dangol")
