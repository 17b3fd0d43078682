"""What works on this machine and how fast it is, measured in child processes."""
