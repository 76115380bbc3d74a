"""Versions of data, which DVC keeps."""
