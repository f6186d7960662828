"""Subcommands, one file each: `add_parser(subparsers)`."""
