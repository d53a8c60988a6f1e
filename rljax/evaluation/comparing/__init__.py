"""Runs side by side: what they measured, what went wrong, and whether one is better."""
