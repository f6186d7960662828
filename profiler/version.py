"""The version of Dualscope."""

VERSION = "0.1.0"
