"""Bundles: what learning leaves and serving loads."""
