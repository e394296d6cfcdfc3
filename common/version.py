"""The version of this checkout and of the protocol it speaks."""

VERSION = "0.1.0"

PROTOCOL = 1
"""Sent as `Mesh-Proto`; the hub speaks this one and the one before."""
