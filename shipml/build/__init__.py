"""Plan → image, on this machine and without an engine."""
