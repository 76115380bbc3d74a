"""How the rows that a service predicted differ from those of the training."""
