"""Figures of the bridge, with a million messages in chat.db: delay, idle cost and memory."""
