"""A broker over several slots of a Redis Cluster: names, numbers and places, without any I/O."""
