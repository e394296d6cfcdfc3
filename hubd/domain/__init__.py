"""What the hub decides, pure: no framework, no database, no clock; `now` is epoch seconds."""
