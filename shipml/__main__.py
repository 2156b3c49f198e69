"""`python -m shipml`."""

from shipml.cli import main

main()
