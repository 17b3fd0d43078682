"""Valid inputs, made on the fly, that the kinds damage."""
