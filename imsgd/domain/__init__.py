"""What the bridge decides, as pure functions: no file, no clock, no network."""
