"""From frames to events: people, scores and the states of cameras."""
