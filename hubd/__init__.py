"""hubd: the hub, the single source of truth of the mesh."""
