"""Figures with their spread: `make bench`. Each area is a module of its own and bounded in time."""
