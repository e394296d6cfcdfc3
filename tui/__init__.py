"""mesh-tui: the control centre. It shows what the hub says and asks for what its owner wants."""
