"""The spatio-temporal graph autoencoder and its clustering layer (paper, sections 3.2 and 3.3)."""
