"""One Redis for our processes and Kombu's: its envelope, its priorities, its bindings, its records of what is taken."""
