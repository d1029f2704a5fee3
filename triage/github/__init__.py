"""GitHub's API: requests, typed answers, and the store of bundles in git refs."""
