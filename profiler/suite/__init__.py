"""A suite of well-known models, measured on this machine, and the verdict on published claims."""
