"""MPED-RNN (Morais et al., CVPR 2019)."""
