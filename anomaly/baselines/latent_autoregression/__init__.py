"""Latent space autoregression (Abati, Porrello, Calderara and Cucchiara, CVPR 2019)."""
