"""What draws: each widget shows records it is given and never asks the hub."""
