"""Learning: from labelled issues to a bundle."""
