"""Find the faces of an image."""
