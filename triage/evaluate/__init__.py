"""Evaluation: measures of quality."""
