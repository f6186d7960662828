"""Servers with an OpenAI-compatible interface: load, streams, figures."""
