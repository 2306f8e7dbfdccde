"""What type checkers make of files that people write."""
