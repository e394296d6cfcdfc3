"""Figures of the node: what the mesh adds to a bare Claude run, and what an idle agentd costs."""
