"""What run_generator.py draws with: images of a network, figures, videos."""
