"""Pseudo labels: predict them, keep the most confident share, store them in three bytes a pixel."""
