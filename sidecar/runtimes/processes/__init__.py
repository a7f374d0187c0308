"""The processes of agents: started, bounded, read, kept for the next turn, and ended."""
