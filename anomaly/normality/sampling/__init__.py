"""The normality mixture by sampling: chains of Gaussians and of Dirichlet distributions, and the mixture of them."""
