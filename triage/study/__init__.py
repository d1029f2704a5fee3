"""The book's methods side by side: `triage evaluate`."""
