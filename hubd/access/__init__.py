"""Who may call what, how often, and from where; checked before a route sees a request."""
