"""What this machine is, and which engine was found to be the fastest on it."""
