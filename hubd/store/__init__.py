"""All SQL of the hub. Functions here take a transaction or a connection and never a clock."""
