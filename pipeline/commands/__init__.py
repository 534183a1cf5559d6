"""The command line: what each subcommand takes and says. Heavy imports stay inside the functions.

Many files: each subcommand is one module of its name, so that help and errors of a command are found at once.
"""
