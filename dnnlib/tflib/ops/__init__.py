"""Custom operations of StyleGAN2 and their plain TensorFlow references."""
