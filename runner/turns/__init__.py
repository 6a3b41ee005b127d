"""A turn's life behind HTTP, from its acceptance until it is forgotten."""
