"""Lets `python -m dmtkit` do what the command `dmtkit` does."""

from dmtkit.cli import main

main()
