"""What every program of the mesh shares: records, hub client, configuration, supervision."""
