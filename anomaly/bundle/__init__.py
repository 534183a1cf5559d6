"""A trained model on disk: read and written without pickle, and exported to ONNX."""

from anomaly.bundle.io import load_bundle, read_card, save_bundle

__all__ = ["load_bundle", "read_card", "save_bundle"]
