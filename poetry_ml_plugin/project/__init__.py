"""A project's own files: pyproject.toml, poetry.lock, names and requirements."""
