"""From the config file to something that can run, checked in a process of its own."""
