"""A simulated fleet, so that the control centre can be tried without any hub."""
