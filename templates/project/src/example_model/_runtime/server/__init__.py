"""The transport of the service: waitress, in processes that are watched and replaced."""
