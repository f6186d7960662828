"""Netron in a web view, served by a URL scheme of our own: no port, no network."""
