"""What a server is asked once it answers: a first visit of its page, and requests of the user's."""
