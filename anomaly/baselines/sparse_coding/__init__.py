"""Temporally coherent sparse coding as a stacked recurrent network (Luo, Liu and Gao, ICCV 2017)."""
