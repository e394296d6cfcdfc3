"""One module a verb, or a few that belong together; imported when the verb is called."""
