"""The Python API: the commands as functions, and a trained model for poses at hand and for streams; see docs/api.md."""
