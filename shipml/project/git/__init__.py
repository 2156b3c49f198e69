"""Reads a git repository without git: nothing that a repository holds or configures is run.

Only files are read, each with a limit. Filters, hooks, monitors, pagers, remotes and included configuration are
never looked up. shipml has its own reader since the libraries read without limits: dulwich waits for ever at a named
pipe, inflates whatever an object claims, and takes 0.1 s to import.
"""
