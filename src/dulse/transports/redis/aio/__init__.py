"""The asyncio form, of which the blocking one is generated."""
