"""Finished runs as figures and tables."""
