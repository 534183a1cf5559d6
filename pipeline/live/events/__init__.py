"""What `watch` says: the record of an event, its published schema, and the rules of who is told."""
