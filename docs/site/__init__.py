"""Renders README, docs and notebooks as a static site that needs no network: `python -m docs.site`."""
