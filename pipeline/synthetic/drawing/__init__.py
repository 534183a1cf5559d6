"""People and the street as pictures."""
