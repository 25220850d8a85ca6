"""The methods of projecting images: plain data, for flags too, which need no TensorFlow."""

from typing import Any, Dict

SPACES = ('w', 'wplus', 'z')
NUM_IMAGES = 3  # of a data set, where their number is not given

# Attributes of a Projector by method: those of Karras et al. 2019, appendix D, as in official
# StyleGAN2, and those of Abdal et al. 2019. A ramp of length 0 is none; a weight of 0 is that of a
# loss that is only reported; optimize_alpha None: if the network has an alpha.
_BY_METHOD = [
    ('space', 'w', 'wplus'),
    ('optimize_noise', True, False),
    ('optimize_alpha', False, None),
    ('initial_learning_rate', 0.1, 0.01),
    ('initial_noise_factor', 0.05, 0.0),
    ('lr_rampdown_length', 0.25, 0.0),
    ('lr_rampup_length', 0.05, 0.0),
    ('noise_ramp_length', 0.75, 0.0),
    ('lambda_mse', 0.0, 0.5),
    ('lambda_perceptual', 0.0, 0.5),
    ('lambda_lpips', 1.0, 0.0),
]
METHODS: Dict[str, Dict[str, Any]] = {
    'w-lpips': {name: value for name, value, _ in _BY_METHOD},
    'wplus-alpha': {name: value for name, _, value in _BY_METHOD},
}
