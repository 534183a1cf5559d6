"""How `watch` is doing: figures for Prometheus, and an answer to who asks whether it lives."""
