"""From the text of a configuration to a checked, frozen `Config`, or to located problems.

Pure: files, environment and the state of the machine come in through `system.System`.
"""
