"""The tables and figures of "On Noise Injection in GANs" by one command, see run_paper.py."""
