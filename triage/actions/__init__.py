"""The GitHub Actions runner."""
