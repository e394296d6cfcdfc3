"""What the bridge must not forget: its place in chat.db, what it heard and what it said."""
