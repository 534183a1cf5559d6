"""People to scores: the graph autoencoder, deep embedded clustering and the normality model."""
