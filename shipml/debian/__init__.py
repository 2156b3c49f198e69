"""Debian suites: signed lists → packages → the layers of a base."""
