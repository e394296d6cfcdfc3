"""The hub's use cases: each public method is one transaction, and returns wire structs."""
