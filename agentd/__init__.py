"""The worker of the mesh: pulls tasks from the hub, runs them, and reports how they ended."""
