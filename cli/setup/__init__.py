"""Making a machine part of a mesh: its configuration, its folders, its tokens."""
