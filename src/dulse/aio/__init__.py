"""The messaging API in its asyncio form: the same names as in `dulse`, to be awaited."""
