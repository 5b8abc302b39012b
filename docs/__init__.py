"""Where the documentation lies; `python -m docs.site` makes a site of it."""
