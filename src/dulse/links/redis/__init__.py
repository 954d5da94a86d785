"""Connections to Redis: where it is, what it says, and how both forms of a link speak to it."""
