"""Clips of a textured square that moves over a textured ground, round and round."""

import numpy as np

RIGHT = (1, 0)


def square(velocity, seed, frames=12, size=32, appears=0):
    """(F, size, size, 3) uint8; the square is a quarter of the frame high and begins somewhere."""
    side = 9 * size // 32
    ground = np.random.default_rng(99).integers(60, 120, (size // 4, size // 4, 3), dtype=np.uint8)
    patch = np.random.default_rng(98).integers(130, 255, (3, 3, 3), dtype=np.uint8).repeat(3, 0).repeat(3, 1)
    patch = patch[:side, :side]
    x, y = np.random.default_rng(seed).integers(0, size - side, 2)
    clip = np.broadcast_to(ground.repeat(4, 0).repeat(4, 1), (frames, size, size, 3)).copy()
    for frame in range(appears, frames):
        left = (x + velocity[0] * frame) % (size - side)
        top = (y + velocity[1] * frame) % (size - side)
        clip[frame, top : top + side, left : left + side] = patch
    return clip
