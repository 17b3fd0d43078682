"""`python -m fer_edge` is `fer`."""

from fer_edge.cli import main

main()
