"""A broker made of any store of records."""
