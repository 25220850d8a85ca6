"""Projecting images into the latent space of a generator: which latents give this image?

`Projector` has the interface and numbers of official StyleGAN2's. It has two methods, the official
one, and Image2StyleGAN (Abdal et al. 2019) with the paper's alpha reparameterization.
"""

from typing import Any, Dict, List, Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib import EasyDict, tflib
from dnnlib.options import check_choice
from dnnlib.tflib import engine, precision
from dnnlib.tflib.network import Network
from dnnlib.tflib.optimizer import SimpleAdam
from dnnlib.util import UserError
from metrics.features import to_rgb
from metrics.latent_space import limit_size
from training import anatomy
from training.data.labels import check_class
from training.inversion import arithmetic
from training.inversion.methods import METHODS
from training.perception import feature_nets, vgg16

# Other attributes that, beside network and target, decide on a result.
_OTHER_SETTINGS = ['method', 'num_steps', 'dlatent_avg_samples', 'alpha_learning_rate']
_OTHER_SETTINGS += ['regularize_noise_weight', 'class_index']


class Projector:
    """Searches latents of target images, several images at a time, each for itself.

    Set attributes, then `set_network`, then `run`; or `start`, `step` until all steps are done, and
    the getters.

    Args:
        method: a key of METHODS, the values of the attributes named there.

    Attributes:
        num_steps: steps of Adam.
        dlatent_avg_samples: latents that the mean, where the search starts, is taken over.
        space: 'w': one w for all layers; 'wplus': one for each; 'z': of networks without W. None:
            that of the method, or Z where there is no W.
        optimize_noise: also search noise inputs, for each image, kept white by regularization.
        optimize_alpha: also search t of all layers with alpha_t = alpha^t / (alpha^t + (1 -
            alpha)^t); None: if there are such layers.
        initial_learning_rate, lr_rampdown_length, lr_rampup_length: for latents and noise, see
            `arithmetic.learning_rate`. alpha_learning_rate: the same for t.
        initial_noise_factor, noise_ramp_length: noise on the latents, see `arithmetic.noise_level`.
        regularize_noise_weight: weight of `arithmetic.noise_regularization`.
        lambda_mse, lambda_perceptual, lambda_lpips: weights of the losses: mean squared error of
            images in [-1, 1]; that of VGG16 features; the LPIPS network's distance.
        vgg16_weights: file of VGG16's weights; None: no perceptual loss. feature_nets_dir: folder
            of the LPIPS network; None: see `feature_nets`.
        class_index: class of the images for networks with labels; None for no class.
        verbose: print losses. clone_net: make a copy of the network, which then may change.
    """

    # Those of METHODS.
    space: Optional[str]
    optimize_noise: bool
    optimize_alpha: Optional[bool]
    initial_learning_rate: float
    initial_noise_factor: float
    lr_rampdown_length: float
    lr_rampup_length: float
    noise_ramp_length: float
    lambda_mse: float
    lambda_perceptual: float
    lambda_lpips: float

    def __init__(self, method: str = 'w-lpips'):
        check_choice('method', method, METHODS)
        self.method = method
        self.num_steps = 1000
        self.dlatent_avg_samples = 10000
        self.alpha_learning_rate = 0.002
        self.regularize_noise_weight = 1e5
        self.vgg16_weights: Optional[str] = None
        self.feature_nets_dir: Optional[str] = None
        self.class_index: Optional[int] = None
        self.verbose = False
        self.clone_net = True
        for name, value in METHODS[method].items():
            setattr(self, name, value)
        self.space = None
        self._Gs: Any = None  # Network, once it is set
        self._cur_step: Any = None  # int, once there are targets

    def settings(self) -> Dict[str, Any]:
        """All attributes that, beside network and target, decide on a result."""
        names = sorted(METHODS['w-lpips']) + _OTHER_SETTINGS
        return {name: getattr(self, name) for name in names}

    def set_network(self, Gs: Optional[Network], minibatch_size: int = 1) -> None:
        """Build everything for a generator; None lets go of the last one.

        Args:
            minibatch_size: images at a time.

        Raises:
            UserError: the network lacks what the attributes ask for, or a file is missing.
        """
        assert minibatch_size >= 1
        self._Gs = self._cur_step = None
        if Gs is None:
            return
        self.check_network(Gs)
        num_alphas = anatomy.num_alphas(Gs)
        self._Gs = Gs.clone() if self.clone_net else Gs
        precision.use(self._Gs, 'float32')
        self._minibatch_size = minibatch_size
        with tf.device(engine.device(0)):
            self._find_mean()
            with tf.name_scope('Projector'):
                self._build_inputs(num_alphas)
                self._build_images()
                self._build_losses()
                self._build_step()

    def check_network(self, Gs: Network) -> None:
        """Settle attributes that depend on the network; UserError if it lacks what they ask for."""
        if self.space is None:
            self.space = METHODS[self.method]['space'] if anatomy.has_w(Gs) else 'z'
        arithmetic.check_space(Gs, self.space)
        num_alphas = anatomy.num_alphas(Gs)
        if self.optimize_alpha and not num_alphas:
            where = 'the noise injection of network %r' % Gs.name
            raise UserError('--optimize-alpha is true, but %s has no alpha in (0, 1)' % where)
        if self.optimize_alpha is None:
            self.optimize_alpha = num_alphas > 0
        label_size = anatomy.label_size(Gs)
        if self.class_index is not None:
            check_class(self.class_index, label_size)
        used = self.lambda_mse, self.lambda_lpips, self.vgg16_weights and self.lambda_perceptual
        if not any(used):
            raise UserError("all losses have weight 0; give --lambda-mse, or VGG16's weights")

    def _find_mean(self):
        """Mean latents, where the search starts, and their standard deviation."""
        Gs = self._Gs
        self._info('Finding the mean of %d latents...' % self.dlatent_avg_samples)
        points = np.random.RandomState(123).randn(self.dlatent_avg_samples, *Gs.input_shape[1:])
        if self.space != 'z':
            inputs = [points]
            if Gs.num_inputs > 1:
                label = np.zeros([1, anatomy.label_size(Gs)], np.float32)
                if self.class_index is not None:
                    label[0, self.class_index] = 1
                inputs.append(np.repeat(label, len(points), axis=0))
            points = Gs.components.mapping.run(*inputs)[:, :1]
        self._mean = np.mean(points, axis=0, keepdims=True)  # [1, 1, D], in Z [1, D]
        self._std = np.sqrt(np.sum(np.square(points - self._mean)) / len(points))

    def _build_inputs(self, num_alphas):
        """Variables of all that is searched or given, for each image."""
        size = self._minibatch_size
        shape = [size] + list(self._mean.shape[1:])
        if self.space == 'wplus':
            shape[1] = anatomy.num_layers(self._Gs)
        self._points = _variable('dlatents_var', shape)
        # Noise of the schedule, on top of the latents; zero unless fed.
        self._offset = tf.placeholder_with_default(tf.zeros(shape), shape)
        self._stored_noises = anatomy.noise_inputs(self._Gs)
        shapes = [[size] + var.shape.as_list()[1:] for var in self._stored_noises]
        self._noises = [_variable('noise%d' % i, shape) for i, shape in enumerate(shapes)]
        self._alpha_powers: Any = None
        if self.optimize_alpha:
            self._alpha_powers = _variable('alpha_powers', [size, num_alphas])
        self._targets = _variable('target', [size] + self._Gs.output_shape[1:])

    def _build_images(self):
        self._latents = self._points + self._offset
        inputs = self._latents, self._noises, self._alpha_powers
        self._images = arithmetic.images_at(self._Gs, str(self.space), *inputs)

    def _build_losses(self):
        """Losses by name, [N] each."""
        self._losses = {'mse': arithmetic.mean_squared_error(self._images, self._targets)}
        self._features = self._target_features = []
        if self.vgg16_weights is not None:
            weights = vgg16.load_weights(self.vgg16_weights)
            self._features = vgg16.features(limit_size(self._images), weights)
            shapes = [feature.shape.as_list() for feature in self._features]
            targets = [_variable('target_features', shape) for shape in shapes]
            self._target_features = targets
            self._losses['perceptual'] = arithmetic.perceptual_distance(self._features, targets)
        if self.lambda_lpips:
            net = feature_nets.load(feature_nets.LPIPS, self.feature_nets_dir)
            pair = [to_rgb(limit_size((x + 1) * (255 / 2))) for x in (self._images, self._targets)]
            self._losses['lpips'] = tf.reshape(net.get_output_for(*pair), [self._minibatch_size])
        losses = self._losses
        weights = {name: getattr(self, 'lambda_' + name) for name in losses}
        self._dist = tf.add_n([weights[name] * losses[name] for name in losses if weights[name]])
        watched = [name for name in losses if weights[name] or name == 'mse']
        self._watched = {name: losses[name] for name in watched}

    def _build_step(self):
        """The op of a step of Adam, one after the other for what has another learning rate."""
        self._lr, self._alpha_lr = [tf.placeholder(tf.float32, []) for _ in range(2)]
        noises = self._noises if self.optimize_noise else []
        alphas = [self._alpha_powers] if self.optimize_alpha else []
        variables = [self._points] + noises + alphas
        # Images share nothing, so the sum of their losses gives each its own gradient.
        gradients = dict(zip(map(id, variables), tf.gradients(self._dist, variables)))
        if any(gradients[id(noise)] is None for noise in noises):
            print('Noise inputs do not change the images of this network: they are not optimized.')
            noises = []
        self._loss = self._dist
        if noises:
            penalty = tf.add_n([arithmetic.noise_regularization(noise) for noise in noises])
            self._loss += self.regularize_noise_weight * penalty
            for noise, grad in zip(noises, tf.gradients(self._loss - self._dist, noises)):
                gradients[id(noise)] += grad
        self._optimizers, updates = [], []
        for rate, group in [(self._lr, [self._points] + noises), (self._alpha_lr, alphas)]:
            if group:
                optimizer = SimpleAdam('ProjectorAdam', rate)
                pairs = [(gradients[id(var)], var) for var in group]
                updates.append(optimizer.apply_gradients(pairs))
                self._optimizers.append(optimizer)
        with tf.control_dependencies(updates):
            for noise in noises:
                white = arithmetic.normalize_noise(noise.read_value())
                updates.append(noise.assign(white))
            self._step_op = tf.group(*updates)

    def start(
        self,
        target_images: np.ndarray,
        seeds: Optional[Sequence[Any]] = None,
        noises: Optional[Sequence[np.ndarray]] = None,
    ) -> None:
        """Begin with new targets.

        Args:
            target_images: [N, C, H, W] in [-1, 1], N up to minibatch_size; larger ones are shrunk
                by a whole factor.
            seeds: what all randomness of an image follows from; default: 0, 1, ...
            noises: noise inputs [N, 1, H, W] to begin with; None: drawn if they are optimized, else
                those that are stored in the network.
        """
        assert self._Gs is not None, 'set_network comes first'
        targets = np.asarray(target_images, np.float32)
        assert targets.ndim == 4 and 1 <= len(targets) <= self._minibatch_size, targets.shape
        self._num_images = len(targets)
        factor = targets.shape[2] // self._Gs.output_shape[2]
        if factor > 1:
            n, c, h, w = targets.shape
            targets = targets.reshape(n, c, h // factor, factor, w // factor, factor).mean((3, 5))
        assert list(targets.shape[1:]) == self._Gs.output_shape[1:], targets.shape
        seeds = list(range(self._num_images)) if seeds is None else list(seeds)
        self._random = [np.random.RandomState(seed) for seed in self._fill(seeds)]
        if noises is None:
            noises = self._first_noises()
        for optimizer in self._optimizers:
            tflib.run([var.initializer for var in optimizer.variables()])
        first = np.broadcast_to(self._mean, self._points.shape.as_list())
        values = {self._targets: self._fill(targets), self._points: first}
        values.update((var, self._fill(value)) for var, value in zip(self._noises, noises))
        if self.optimize_alpha:
            values[self._alpha_powers] = np.ones(self._alpha_powers.shape.as_list())
        features = tflib.run(self._features, {self._images: values[self._targets]})
        values.update(zip(self._target_features, features))
        tflib.set_vars(values)
        self._curves: Dict[str, list] = {name: [] for name in list(self._watched) + ['loss']}
        self._cur_step = 0

    def _first_noises(self):
        if not self.optimize_noise:
            stored = tflib.run(self._stored_noises)
            return [np.repeat(value, self._num_images, axis=0) for value in stored]
        return [self._draw(var)[: self._num_images] for var in self._noises]

    def _draw(self, like):
        """Noise of the shape of a tensor, of each image from its own generator."""
        return np.stack([random.randn(*like.shape.as_list()[1:]) for random in self._random])

    def _fill(self, values):
        """Repeat the last value until the minibatch is full."""
        return list(values) + [values[-1]] * (self._minibatch_size - len(values))

    def step(self) -> None:
        """Take one step; nothing if all are done."""
        assert self._cur_step is not None, 'start comes first'
        if self._cur_step >= self.num_steps:
            return
        if self._cur_step == 0:
            self._info('%-8s%-12s%-12s' % ('Step', 'Dist', 'Loss'))
        t = self._cur_step / self.num_steps
        noise = self.initial_noise_factor, self.noise_ramp_length
        level = arithmetic.noise_level(t, self._std, *noise)
        ramps = self.lr_rampdown_length, self.lr_rampup_length
        feed = {
            self._lr: arithmetic.learning_rate(t, self.initial_learning_rate, *ramps),
            self._alpha_lr: arithmetic.learning_rate(t, self.alpha_learning_rate, *ramps),
        }
        if level > 0:
            feed[self._offset] = level * self._draw(self._offset)
        watched = dict(self._watched, loss=self._loss)
        _, dist, values = tflib.run([self._step_op, self._dist, watched], feed)
        for name, value in values.items():
            self._curves[name].append(value)
        self._cur_step += 1
        if self._cur_step % 10 == 0 or self._cur_step == self.num_steps:
            sums = [np.sum(x[: self._num_images]) for x in (dist, values['loss'])]
            self._info('%-8d%-12g%-12g' % (self._cur_step, *sums))

    def run(self, target_images: np.ndarray, **kwargs) -> EasyDict:
        """Take all steps for targets; arguments are those of `start`.

        Returns: EasyDict(dlatents, noises, images), what the getters return.
        """
        self.start(target_images, **kwargs)
        while self._cur_step < self.num_steps:
            self.step()
        latents, noises = self.get_dlatents(), self.get_noises()
        return EasyDict(dlatents=latents, noises=noises, images=self.get_images())

    def get_cur_step(self) -> Optional[int]:
        """Number of steps taken."""
        return self._cur_step

    def get_dlatents(self) -> np.ndarray:
        """Latents found: w [N, num_layers, dlatent_size], or z [N, latent_size]."""
        points = self._get(self._points)
        if self.space == 'w':
            points = np.repeat(points, anatomy.num_layers(self._Gs), axis=1)
        return points

    def get_noises(self) -> List[np.ndarray]:
        """Noise inputs, [N, 1, H, W] each."""
        return [self._get(noise) for noise in self._noises]

    def get_alpha_powers(self) -> Optional[np.ndarray]:
        """t [N, layers]; None if it is not optimized."""
        return self._get(self._alpha_powers) if self.optimize_alpha else None

    def get_images(self) -> np.ndarray:
        """Images of the latents found, float32 [N, C, H, W], nominally in [-1, 1]."""
        return self._get(self._images)

    def get_losses(self) -> Dict[str, np.ndarray]:
        """All losses as they are now: [N] each."""
        return {name: value[: self._num_images] for name, value in tflib.run(self._losses).items()}

    def get_curves(self) -> Dict[str, np.ndarray]:
        """Losses as they were before each step so far: [N, steps] each."""
        number = self._num_images
        return {name: np.transpose(values)[:number] for name, values in self._curves.items()}

    def get_distances(self) -> np.ndarray:
        """Squared distance of the latents from the mean, over all layers: [N]."""
        points = self.get_dlatents()
        return np.sum(np.square(points - self._mean), axis=tuple(range(1, points.ndim)))

    def _get(self, tensor):
        return tflib.run(tensor)[: self._num_images]

    def _info(self, text):
        if self.verbose:
            print('Projector:', text)


def make_projector(
    method: str, attributes: Dict[str, Any], vgg16_weights: Optional[str] = None
) -> Projector:
    """A projector with some attributes, which works on the network itself, not on a copy."""
    projector = Projector(method)
    projector.clone_net = False
    projector.vgg16_weights = vgg16_weights
    for name, value in attributes.items():
        assert hasattr(projector, name), name
        setattr(projector, name, value)
    return projector


def find_vgg16(args: Any) -> Optional[str]:
    """File of VGG16's weights by the flags of run_projector.py, None to go without."""
    if args.vgg16 == 'none':
        return None
    if args.vgg16 == 'download':
        return vgg16.find_weights(folder=args.feature_nets_dir)
    path = vgg16.find_weights(args.vgg16, download=False, folder=args.feature_nets_dir)
    if path is not None:
        vgg16.load_weights(path)
    elif args.lambda_perceptual:
        advice = 'name their file by --vgg16, or get them by --vgg16=download'
        raise UserError("--lambda-perceptual needs VGG16's weights; " + advice)
    elif args.method == 'wplus-alpha':
        print("VGG16's weights are not there: the loss is the mean squared error alone.")
        print('--vgg16=download gets them.')
    return path


def _variable(name, shape):
    """A variable of zeros, ready for use."""
    var = tf.Variable(tf.zeros(shape), trainable=False, name=name)
    tflib.run(var.initializer)
    return var
