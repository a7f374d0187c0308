"""The journal: the durable record of messages, turns, replies and sessions, in SQLite."""
