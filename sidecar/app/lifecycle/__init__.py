"""The process that runs for long: its tasks, memory and logs, and what others see of it."""
