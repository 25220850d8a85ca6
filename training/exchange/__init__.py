"""Networks from other code bases and for other programs.

In: `reading` turns any network file into records. `stylegan2_ada` and `rosinality` know those of
PyTorch, `pytorch_names` what variables are called there. Out: `formats` has one line for each
format. A module imports what only today's Python can have (onnx) where it needs it.
"""
