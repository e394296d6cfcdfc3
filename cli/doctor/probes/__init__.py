"""What looks: each probe reads one corner of the machine or the mesh and reports facts."""
