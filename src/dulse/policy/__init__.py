"""Decisions without waiting: when to retry, where to connect, whom a pool serves; time and chance are given."""
