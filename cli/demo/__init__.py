"""A whole mesh on loopback in a folder of its own, with simulated Messages for a phone."""
