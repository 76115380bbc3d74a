"""Targets that run an image: its files, how it is built, and the manifests around it."""
