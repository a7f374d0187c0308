"""What a load reads: files joined, variables filled in, secrets found, and what did not change."""
