"""The asyncio links to Redis; the blocking ones are generated from them."""
