"""The cases of the asyncio API; each module is one promise."""
