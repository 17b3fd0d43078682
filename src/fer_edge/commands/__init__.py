"""One file a command: parse, import late, call, print."""
