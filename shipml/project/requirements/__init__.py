"""Files that say what a project depends on: one reader a kind of file."""
