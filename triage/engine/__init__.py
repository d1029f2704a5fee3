"""Engines: what turns texts into numbers. Each library has one home here."""
