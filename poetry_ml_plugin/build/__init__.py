"""Wheels and sdists: what must be in them, how they are packed, what is checked afterwards."""
