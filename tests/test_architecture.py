"""Which way the imports point, and that official StyleGAN2's import names are there."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the top. What a room or module imports stands on its floor or below. A name stands for all
# that is in it, unless a longer one is listed too.
FLOORS = [
    'dataset_tool doctor run_generator run_metrics run_paper run_projector run_training'
    ' run_viewer setup',
    'paper viewer',
    'metrics pretrained_networks projector',
    'training.configs training.overrides training.training_flags training.training_loop',
    'training dcgan',
    'dnnlib.tflib',  # networks and optimizers
    'dnnlib.tflib.autosummary dnnlib.tflib.check_in dnnlib.tflib.cluster'
    ' dnnlib.tflib.custom_ops dnnlib.tflib.engine'
    ' dnnlib.tflib.kernel_build dnnlib.tflib.layout dnnlib.tflib.op_check dnnlib.tflib.ops'
    ' dnnlib.tflib.placement dnnlib.tflib.precision dnnlib.tflib.random dnnlib.tflib.tfutil',
    'dnnlib',
]
# Arrows up that stay, since official StyleGAN2 has them, or the name of a command does.
OFFICIAL = {
    ('training.training_loop', 'metrics.metric_base'),
    ('dnnlib.doctor', 'doctor'),  # python -m dnnlib.doctor
}


def read_tree():
    """{module: (path, is a package, source)} of the packages and programs."""
    packages = ('dnnlib', 'training', 'metrics', 'dcgan', 'paper', 'viewer')
    paths = [path for name in packages for path in ROOT.glob(name + '/**/*.py')]
    modules = {}
    for path in sorted(paths + list(ROOT.glob('*.py'))):
        parts = path.relative_to(ROOT).with_suffix('').parts
        is_package = parts[-1] == '__init__'
        name = '.'.join(parts[:-1] if is_package else parts)
        modules[name] = str(path.relative_to(ROOT)), is_package, path.read_text(encoding='utf-8')
    return modules


def imports_of(name, modules):
    """(line, imported module) of all imports of a module, those within functions included."""
    _, is_package, source = modules[name]
    for node in ast.walk(ast.parse(source)):
        targets = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = name.split('.')[: len(name.split('.')) - node.level + is_package]
            base = '.'.join((base if node.level else []) + ([node.module] if node.module else []))
            within = ['%s.%s' % (base, alias.name) for alias in node.names]
            targets = [target if target in modules else base for target in within]
        for target in targets:
            if target in modules and target != name:
                yield node.lineno, target


def floor_of(module):
    """Number of floors below."""
    fits = [
        (len(name), height)
        for height, names in enumerate(reversed(FLOORS))
        for name in names.split()
        if module == name or module.startswith(name + '.')
    ]
    assert fits, '%s has no floor in %s' % (module, __file__)
    return max(fits)[1]


def room_of(module):
    """A file or folder of training/, else a folder of the top, else a program."""
    depth = 2 if module.startswith(('training.', 'dnnlib.tflib')) else 1
    return '.'.join(module.split('.')[:depth])


def arrows_up(modules):
    return [
        '%s:%d: %s -> %s' % (modules[name][0], line, name, target)
        for name in modules
        for line, target in imports_of(name, modules)
        if floor_of(target) > floor_of(name) and (name, target) not in OFFICIAL
    ]


def room_imports(modules):
    """{room: rooms that it imports}, without what is OFFICIAL."""
    rooms = {room_of(name): set() for name in modules}
    for name in modules:
        rooms[room_of(name)].update(
            room_of(target)
            for _, target in imports_of(name, modules)
            if (name, target) not in OFFICIAL and room_of(target) != room_of(name)
        )
    return rooms


def cyclic_rooms(rooms):
    """Rooms that import each other, perhaps by way of further ones."""
    left = dict(rooms)
    while True:
        done = [room for room, imported in left.items() if not imported & set(left)]
        if not done:
            return sorted(left)
        for room in done:
            del left[room]


def test_imports_point_down():
    modules = read_tree()
    assert arrows_up(modules) == []
    assert cyclic_rooms(room_imports(modules)) == []
    found = {(name, target) for name in modules for _, target in imports_of(name, modules)}
    assert OFFICIAL <= found, 'no longer needed: %s' % (OFFICIAL - found)


@pytest.mark.parametrize(
    'name, source, arrow',
    [
        ('dnnlib.cli', 'import os\nimport training.misc', '2: dnnlib.cli -> training.misc'),
        (
            'training.loss',
            'def f():\n    from metrics import metric_base',
            '2: training.loss -> metrics.metric_base',
        ),
        (
            'training.data.base',
            'from training import configs',
            '1: training.data.base -> training.configs',
        ),
        (
            'dnnlib.tflib.ops.conv2d',
            'from .. import network',
            '1: dnnlib.tflib.ops.conv2d -> dnnlib.tflib.network',
        ),
        ('projector', 'import run_projector as program', '1: projector -> run_projector'),
    ],
)
def test_an_import_of_a_floor_above_is_named_with_its_place(name, source, arrow):
    modules = read_tree()
    path, is_package, _ = modules[name]
    modules[name] = path, is_package, source
    assert arrows_up(modules) == ['%s:%s' % (path, arrow)]


def test_rooms_that_import_each_other_are_found():
    modules = read_tree()
    path, is_package, _ = modules['training.perception.vgg16']
    modules['training.perception.vgg16'] = path, is_package, 'from training.data import demo'
    assert {'training.data', 'training.perception'} <= set(cyclic_rooms(room_imports(modules)))


# module: names that official StyleGAN2's users, scripts and pickles take from it.
OFFICIAL_NAMES = {
    'dnnlib': 'EasyDict RunContext SubmitTarget PathType SubmitConfig submit_run submit_config'
    ' get_path_from_template convert_path make_run_dir_path submission util',
    'dnnlib.util': 'EasyDict Logger format_time ask_yes_no tuple_product get_dtype_and_ctype'
    ' is_pickleable get_module_from_obj_name get_obj_from_module get_obj_by_name'
    ' call_func_by_name get_module_dir_by_obj_name is_top_level_function'
    ' get_top_level_function_name list_dir_recursively_with_ignore copy_files_and_create_dirs'
    ' is_url open_url',
    'dnnlib.submission.submit': 'SubmitTarget PathType PlatformExtras SubmitConfig'
    ' get_path_from_template get_template_from_path convert_path set_user_name_override'
    ' get_user_name make_run_dir_path submit_run',
    'dnnlib.submission.run_context': 'RunContext',
    'dnnlib.submission.internal.local': 'TargetOptions',
    'dnnlib.tflib': 'autosummary network optimizer tfutil custom_ops Network Optimizer run'
    ' is_tf_expression shape_to_list flatten log2 exp2 lerp lerp_clip absolute_name_scope'
    ' absolute_variable_scope init_tf assert_tf_initialized create_session'
    ' init_uninitialized_vars set_vars create_var_with_large_initial_value'
    ' convert_images_from_uint8 convert_images_to_uint8',
    'dnnlib.tflib.autosummary': 'autosummary finalize_autosummaries save_summaries',
    'dnnlib.tflib.custom_ops': '',
    'dnnlib.tflib.network': 'Network import_handler',
    'dnnlib.tflib.optimizer': 'Optimizer SimpleAdam',
    'dnnlib.tflib.tfutil': 'run init_tf create_session set_vars lerp',
    'dnnlib.tflib.ops.fused_bias_act': 'fused_bias_act activation_funcs',
    'dnnlib.tflib.ops.upfirdn_2d': 'upfirdn_2d filter_2d upsample_2d downsample_2d'
    ' upsample_conv_2d conv_downsample_2d',
    'training.dataset': 'TFRecordDataset load_dataset',
    'training.misc': 'open_file_or_url load_pkl save_pkl adjust_dynamic_range create_image_grid'
    ' convert_to_pil_image save_image_grid apply_mirror_augment parse_config_for_previous_run'
    ' setup_snapshot_image_grid',
    'training.training_loop': 'process_reals training_schedule training_loop',
    'training.loss': 'G_logistic G_logistic_ns G_logistic_ns_pathreg G_wgan D_logistic'
    ' D_logistic_r1 D_logistic_r2 D_wgan D_wgan_gp',
    'training.networks_stylegan': 'G_style G_mapping G_synthesis D_basic',
    'training.networks_stylegan2': 'get_weight dense_layer conv2d_layer apply_bias_act'
    ' naive_upsample_2d naive_downsample_2d modulated_conv2d_layer minibatch_stddev_layer G_main'
    ' G_mapping G_synthesis_stylegan_revised G_synthesis_stylegan2 D_stylegan D_stylegan2',
    'metrics.metric_base': 'MetricBase MetricGroup DummyMetric',
    'metrics.metric_defaults': 'metric_defaults',
    'metrics.frechet_inception_distance': 'FID',
    'metrics.inception_score': 'IS',
    'metrics.linear_separability': 'LS',
    'metrics.perceptual_path_length': 'PPL',
    'metrics.precision_recall': 'PR',
    'dataset_tool': 'TFRecordExporter display extract compare create_mnist create_mnistrgb'
    ' create_cifar10 create_cifar100 create_svhn create_lsun create_lsun_wide create_celeba'
    ' create_from_images create_from_hdf5',
    'pretrained_networks': 'gdrive_urls get_path_or_url load_networks',
    'projector': 'Projector',
    'run_generator': 'main',
    'run_metrics': 'run main',
    'run_projector': 'main',
    'run_training': 'main',
}


@pytest.mark.parametrize('module', sorted(OFFICIAL_NAMES))
def test_official_import_names_work(module):
    imported = importlib.import_module(module)
    missing = [name for name in OFFICIAL_NAMES[module].split() if not hasattr(imported, name)]
    assert missing == []
