"""What is in the street besides people: things with exact shapes and boxes, and the scenarios that bring them."""
