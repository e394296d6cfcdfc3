"""Bringing another machine into the mesh: an invitation here, `mesh join` there."""
