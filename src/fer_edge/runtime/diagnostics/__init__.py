"""What works on this machine and how fast it is, tried in processes of their own."""
