"""What the mesh costs the person who opens a terminal window."""
