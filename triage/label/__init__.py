"""Labelling issues on GitHub."""
