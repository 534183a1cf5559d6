"""Where events go: any number of sinks, each with a queue on disk and a thread of its own."""
