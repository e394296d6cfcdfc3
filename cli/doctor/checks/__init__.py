"""Pure functions from facts to a verdict, one a check."""
