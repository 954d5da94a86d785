"""Streams of bytes to a server, within deadlines, twice under the same names: `aio` for asyncio, `sync` for threads."""
