"""DCGAN, the noise injection paper's second kind of network."""
