"""What processes of test_cluster.py train: `training_worker.py DATA OUT DEVICES ITERATIONS`.

Alone or as one of several workers, with DEVICES logical CPUs in each. The chief writes OUT.npz:
gradients of the first iteration, variables in the end, and the augmentation's p after each
iteration, as each worker has it.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from dnnlib import cli, tflib, workers  # isort: split

import numpy as np
import tensorflow.compat.v1 as tf

from dnnlib.tflib import cluster, engine
from training import configs, device_state
from training.data.opening import load_dataset
from training.iterations import Iterations
from training.schedule import training_schedule
from training.train_graph import TrainGraph

OPTIONS = {
    'G_args.fmap_base': 64,
    'G_args.fmap_max': 8,
    'G_args.latent_size': 8,
    'G_args.dlatent_size': 8,
    'G_args.mapping_fmaps': 8,
    'G_args.mapping_layers': 1,
    'D_args.fmap_base': 64,
    'D_args.fmap_max': 8,
    'D_reg_interval': 2,
    'G_reg_interval': 2,
    'sched_args.lrate_rampup_kimg': 0.016,  # so that the first iteration changes no weights
    'sched_args.minibatch_size_base': 16,
    'sched_args.minibatch_gpu_base': 2,  # two rounds with four devices
}
AUGMENT = dict(mode='ada', pipe='b', p=0.3, target=0.03, kimg=0.64)  # 4 iterations: 0.1 of p


def main() -> None:
    """Train, and write what there is to compare."""
    data_dir, out, num_devices, num_iterations = sys.argv[1:]
    found = workers.find()
    options = dict(engine.logical_devices(int(num_devices)), allow_soft_placement=True)
    if found is not None:
        cluster.join(found, {}, options, '')
    tflib.init_tf(dict(options, **{'rnd.np_random_seed': 1}))
    iterations, graph = build(data_dir, int(num_devices))
    arrays = {'p': []}
    record_first_iteration(graph, arrays)
    for _ in range(int(num_iterations)):
        iterations.look_at_schedule()
        iterations.run()
        p = tflib.run(graph.augmentation.p)
        rows = cluster.current().gather(p.tobytes())
        arrays['p'].append([float(np.frombuffer(row, np.float32)[0]) for row in rows])
    for name, value in device_state.take(int(num_devices)).items():
        arrays['after/' + name] = value
    cluster.current().leave()
    if cluster.current().is_chief:
        np.savez(out, **arrays)


def build(data_dir, num_devices):
    """A small config-e-fr with labels, lazy regularization and gradient accumulation."""
    options = configs.resolve('config-e-fr', OPTIONS)
    data = load_dataset(data_dir=data_dir, tfrecord_dir='labelled', max_label_size='full', seed=0)
    with tf.device(engine.device(0)):
        shape = dict(num_channels=3, resolution=data.resolution, label_size=data.label_size)
        G = tflib.Network('G', **shape, **options['G_args'])
        D = tflib.Network('D', **shape, **options['D_args'])
        Gs = G.clone('Gs')
    names = 'G_loss_args D_loss_args G_opt_args D_opt_args G_reg_interval D_reg_interval'
    graph = TrainGraph(
        G,
        D,
        Gs,
        data,
        lazy_regularization=True,
        G_smoothing_kimg=1.0,
        num_gpus=num_devices,
        augment_args=AUGMENT,
        process_reals_args=dict(mirror_augment=True, drange_data=[0, 255], drange_net=[-1, 1]),
        **{name: options[name] for name in names.split()},
    )

    def schedule(nimg):
        return training_schedule(nimg, data, **options['sched_args'])

    return Iterations(graph, schedule, 1, True, 0), graph


def record_first_iteration(graph, arrays):
    """Note the mean gradients, which are Adam's first moments where beta1 is 0."""
    steps = graph.steps

    def recorded(sched, count):
        for step in steps(sched, count):
            yield step
            if count == 0:
                suffix = '/Train%s_opt0' % step.name[-1]
                slots = [v for v in tf.global_variables() if v.op.name.endswith(suffix)]
                for var, value in zip(slots, tflib.run(slots)):
                    arrays['gradient/%s/%s' % (step.name, var.op.name)] = value

    graph.steps = recorded


if __name__ == '__main__':
    sys.exit(cli.run_cli(main))
