"""Find the fastest configuration of each engine: the space, the races, and what came out."""
