"""Data sets: their files, how they are made, read and looked into."""
