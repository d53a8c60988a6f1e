"""Command-line programs; each parses, calls rljax and prints."""
