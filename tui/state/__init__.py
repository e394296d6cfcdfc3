"""What is shown, pure: folded records, and from them the lines of every list. No framework."""
