"""What is stored, to be looked at."""
