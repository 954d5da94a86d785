"""Side-by-side measurements of dulse and its peers; `make bench` runs them."""
