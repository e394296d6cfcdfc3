"""`mesh doctor`: what is wrong on this machine or in the mesh, and the command that mends it.

Probes look and report facts; checks are pure functions from facts to one line each.
"""
