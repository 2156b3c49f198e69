"""What the project's own code says: programs, imports, notebooks, GPU use, model files. Nothing is run."""
