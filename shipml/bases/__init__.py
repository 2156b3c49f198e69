"""What an image stands on: a Debian suite → which packages → layers, or an image of a registry, pinned by digest."""
