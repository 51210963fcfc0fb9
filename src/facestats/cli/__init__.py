"""The subcommands of `python -m facestats`, one module each."""
