"""The state folder: the journal in SQLite, the lock, workspaces, what the control plane set."""
