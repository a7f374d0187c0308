"""What a configuration comes to, and what differs between two."""
