"""Sweeps: one measured run at each combination of values, saved as it goes."""
