"""A project that exists becomes a machine-learning project: `poetry ml init`."""
