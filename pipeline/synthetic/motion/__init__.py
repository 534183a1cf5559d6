"""How people move: bodies in three dimensions, gaits, and the registry of behaviours."""
