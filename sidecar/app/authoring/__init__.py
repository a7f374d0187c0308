"""The tools of a config's author: what would become of a message, tests, edits of the file.

Commands use them; the sidecar that runs loads none of them.
"""
