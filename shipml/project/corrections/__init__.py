"""Lines as they are written → requirements that can be met, and a reason for everything that was changed.

Each file here knows one kind of mess. All of it is pure but for questions to the file system about local paths.
"""
