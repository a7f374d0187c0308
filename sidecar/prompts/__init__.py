"""What an agent is told: the system context and the user turn, rendered from templates.

Pure: the messages, the time and the environment come in as arguments. Built-in templates are
part of the package.
"""
