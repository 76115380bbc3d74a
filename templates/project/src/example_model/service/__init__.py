"""The model as a web service."""
