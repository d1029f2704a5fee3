"""The training of the shipped models. Nothing in the product imports it."""
