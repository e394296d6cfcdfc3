"""The small process above this machine's daemons: starts them, and starts them again.

It holds `parent.lock` and touches it while it lives; `parent.json` says what it knows. Its
children write their logs themselves and go on without it: a new parent finds them in
`parent.json` and takes them over.
"""
