"""Sockets and waiting: the leaves where the blocking and the asyncio form differ."""
