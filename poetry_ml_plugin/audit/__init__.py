"""Problems of a project: the list of checks, and what they look at."""
