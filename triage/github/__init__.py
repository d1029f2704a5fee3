"""GitHub: its API, and what is there."""
