"""Where images come from: files, folders, videos and cameras."""
