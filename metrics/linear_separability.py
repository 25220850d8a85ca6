"""Linear separability (Karras et al. 2018, "A Style-Based Generator Architecture", section 4.2)."""

from typing import Dict, List

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.util import UserError
from metrics.base import MetricBase
from metrics.features import apply_net, copies_on_devices, to_rgb
from metrics.latent_space import LatentSpace, limit_size
from training.perception import feature_nets


class LS(MetricBase):
    """How well a plane in latent space tells the attributes of faces; lower is better.

    Args:
        num_samples: images. num_keep: how many of them are used, those whose attribute is surest.
        attrib_indices: which of `feature_nets.ATTRIBUTES`.
        minibatch_per_gpu: images at a time.

    Networks without W have a figure for Z alone.

    Raises:
        UserError: scikit-learn, which nothing else needs, is not installed.
    """

    def __init__(
        self,
        num_samples: int,
        num_keep: int,
        attrib_indices: List[int],
        minibatch_per_gpu: int,
        name: str,
    ):
        assert num_keep <= num_samples
        super().__init__(name)
        self._svm = _import_svm()
        if num_keep < 2:
            raise UserError('%s of %d samples: there must be at least 4' % (name, num_samples))
        self._num_samples = num_samples
        self._num_keep = num_keep
        self._attrib_indices = list(attrib_indices)
        self._minibatch_per_gpu = minibatch_per_gpu
        self.feature_nets = [feature_nets.classifier(index) for index in self._attrib_indices]

    def phases(self) -> Dict[str, float]:
        return {self.name: 4.0 * self._num_samples, self._fit_title: 2.0 * self._num_samples}

    @property
    def _fit_title(self):
        return self.name + ', planes'

    def _evaluate(self, Gs, Gs_kwargs, num_gpus):
        batch = self._minibatch_per_gpu
        space = LatentSpace(Gs, 'auto', Gs_kwargs)
        generators = copies_on_devices(Gs, num_gpus)
        classifiers = [self.evaluation.load_feature_net(net) for net in self.feature_nets]

        def make_inputs(_unit, rng):
            return self.evaluation.draw_inputs(rng, batch)

        def make_outputs(index, inputs):
            net, latents, labels = generators[index], inputs['latents'], inputs['labels']
            outputs = dict(z=latents)
            if space.space == 'w':
                outputs['w'] = space.points(net, latents, labels)[:, -1]
            images = net.get_output_for(*[latents, labels][: net.num_inputs], **Gs_kwargs)
            images = to_rgb(limit_size(tf.cast(images, tf.float32)))
            logits = [apply_net(copies[index], images) for copies in classifiers]
            columns = [tf.reshape(values, [batch]) for values in logits]
            return dict(outputs, logits=tf.stack(columns, axis=1))

        key = self.evaluation.feature_net_hashes(self.feature_nets)
        store = self.evaluation.collect(
            self.name, 'ls', self._num_samples, batch, make_inputs, make_outputs, key=key
        )
        logits = store.read('logits')[: self._num_samples].astype(np.float64)
        names, title = ['z', 'w'] if space.space == 'w' else ['z'], self._fit_title
        total = len(names) * logits.shape[1]
        with self.evaluation.phases.bar(title, title, total, ' planes') as bar:
            for name in names:
                points = store.read(name)[: self._num_samples]
                options = self._num_keep, self._svm, self.evaluation.seed
                entropies = []
                for column in logits.T:
                    entropies.append(attribute_entropy(points, column, *options))
                    bar.update()
                self._report_result(2.0 ** np.sum(entropies), suffix='_' + name)

    def get_protocol(self) -> dict:
        return dict(
            num_samples=self._num_samples,
            num_keep=self._num_keep,
            attributes=[feature_nets.ATTRIBUTES[i] for i in self._attrib_indices],
            resize='box filter by height // 256',
        )


def _import_svm():
    try:
        import sklearn.svm
    except ImportError as error:
        raise UserError(
            'the metric ls needs scikit-learn; install it by: pip install scikit-learn '
            '(scikit-learn==0.24.2 for Python 3.6); the import says: %s' % error
        )
    return sklearn.svm


def attribute_entropy(
    points: np.ndarray, logits: np.ndarray, num_keep: int, svm, seed: int
) -> float:
    """Bits about an attribute that are unknown to who knows a latent's side of a fitted plane.

    Args:
        points: latents [N, D].
        logits: for the presence of the attribute, [N].
        num_keep: number of samples to use, those whose attribute is surest.
        svm: the module sklearn.svm. seed: of the fit.
    """
    kept = np.argsort(-np.abs(logits), kind='stable')[:num_keep]  # the order of max(softmax)
    targets = (logits[kept] < 0).astype(int)  # class 0: the attribute is there
    try:
        # dual=True is the default that official StyleGAN was measured with.
        plane = svm.LinearSVC(dual=True, random_state=seed).fit(points[kept], targets)
        outputs = plane.predict(points[kept])
    except ValueError:  # one class only: nothing is left unknown
        outputs = targets
    joint = np.zeros([2, 2])
    np.add.at(joint, (outputs, targets), 1)
    return conditional_entropy(joint)


def entropy(p: np.ndarray) -> float:
    """Entropy in bits of probabilities or counts; they are made to sum to 1."""
    p = np.asarray(p, np.float64)
    p = p[p > 0] / p.sum()
    return float(-(p * np.log2(p)).sum())


def mutual_information(joint: np.ndarray) -> float:
    """Mutual information in bits of row and column, of a joint distribution or table of counts."""
    return entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint)


def conditional_entropy(joint: np.ndarray) -> float:
    """Entropy in bits of the column, given the row, of a joint distribution."""
    return max(0.0, entropy(joint.sum(axis=0)) - mutual_information(joint))
