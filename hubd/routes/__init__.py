"""The HTTP surface: each route parses, calls one service, and serialises."""
