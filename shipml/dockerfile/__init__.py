"""Dockerfiles: their text, what they ignore, what an instruction means, and which can be followed without an engine."""
