"""The records that cross a process boundary: one struct per JSON shape, no framework.

Requests from people refuse unknown fields (a typing mistake must not be dropped in silence);
requests from nodes and the bridge, and every answer, ignore them, so that a newer program can
talk to an older one.
"""
