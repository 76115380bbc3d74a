"""What the machine is asked for: Poetry, virtualenvs, git, files, processes."""
