"""Who is measured: dulse, its peers, and the bare library below as the limit."""
