"""Figures of the hub over real HTTP, with `synchronous=FULL`, on whatever machine this is."""
