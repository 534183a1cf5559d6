"""One module a subcommand; heavy imports stay inside the functions."""
