"""What the memory transport keeps: one store for each name in a process, shared by all who open it."""
