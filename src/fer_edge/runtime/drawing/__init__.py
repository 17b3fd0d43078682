"""Results on images, videos and charts."""
