"""Metrics of generators: features, statistics, metric."""
