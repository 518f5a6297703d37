"""The contract of the store: the same tests for each database behind it."""
