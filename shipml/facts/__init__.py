"""Values that travel: what is known of a project, its requirements, its Dockerfile, and the plan made from them."""
