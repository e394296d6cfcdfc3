"""A simulated Messages: a real chat.db written as Apple writes it, and a stand-in for osascript."""
