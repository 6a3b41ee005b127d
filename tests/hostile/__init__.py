"""What broke when it was attacked, and must not again: a file for each kind of harm."""
