"""`python -m teaspec`: the command line, where its script is not on the path."""

from teaspec.cli import main

main()
