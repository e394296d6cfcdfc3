"""The `mesh` command: set-up, start and stop, diagnosis, and every verb of the mesh."""
