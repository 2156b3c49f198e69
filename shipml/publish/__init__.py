"""Image → registry: where it goes, whether it may, and what brings it there."""
