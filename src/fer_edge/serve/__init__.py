"""`fer serve`: an HTTP interface and a page, in the extra `serve`."""
