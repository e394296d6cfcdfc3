"""Hooking the mesh into a machine's own start: the login shell, launchd. Each can be undone."""
