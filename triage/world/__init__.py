"""The outside: files, the Actions runner, GitHub."""
