"""A web app."""

from flask import Flask


def make() -> Flask:
    """The app."""
    return Flask(__name__)
