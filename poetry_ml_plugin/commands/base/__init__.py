"""Base classes and helpers of the commands."""
