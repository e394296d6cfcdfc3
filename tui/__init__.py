"""`mesh-tui`, the control centre."""
