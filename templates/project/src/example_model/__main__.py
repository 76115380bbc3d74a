"""`python -m` for the command line."""

from .cli import main

main()
