"""The control centre under load: processor time, key to paint, start, memory."""
