"""What templates can draw on beside the message: each provider knows one thing."""
