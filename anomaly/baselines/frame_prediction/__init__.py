"""Future-frame prediction (Liu et al., CVPR 2018)."""
