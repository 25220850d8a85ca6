"""Adaptive augmentation of what the discriminator sees, for data sets of few images.

After Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020
(arXiv:2006.06676), sections 2 and 3 and appendix B, called "the paper" in this room.
"""
