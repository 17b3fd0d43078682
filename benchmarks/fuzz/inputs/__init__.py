"""One module a kind of input: `Target` writes the input of a case and gives it to fer-edge."""
