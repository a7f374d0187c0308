"""The channels that run: started, renewed and stopped, and which one speaks as an account."""
