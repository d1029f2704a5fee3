"""Labelling past issues: plan, apply, undo."""
