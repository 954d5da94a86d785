"""One broker each; a module is imported when a URL names it."""
