"""What commands print for people; `--json` is each result's own `to_dict`."""
