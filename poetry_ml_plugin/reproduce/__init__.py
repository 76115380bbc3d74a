"""A training repeated elsewhere, and compared with what it once gave."""
