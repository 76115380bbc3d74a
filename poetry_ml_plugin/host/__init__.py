"""Access to the machine: Poetry, virtualenvs, git, files, processes."""
