"""Run folders: written while a run trains, read by everything that looks at it."""
