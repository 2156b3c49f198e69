"""Keeps secrets out of images: by the names of files, and by what they hold."""
