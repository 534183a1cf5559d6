"""Pictures and clips of events: the last seconds of each camera in memory, what is kept on disk, and for how long."""
