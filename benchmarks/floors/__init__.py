"""What the least costs that could do the router's job: each a process of its own that does that and nothing else."""
