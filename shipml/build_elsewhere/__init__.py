"""Images that a Docker Engine or Azure builds."""
