"""Decisions about messages and turns: they would be the same if messages came by pigeon.

Pure: time comes in as an argument, randomness as a callable.
"""
