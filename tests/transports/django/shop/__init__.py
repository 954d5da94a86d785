"""An app of the project that the tests use: it sells things."""
